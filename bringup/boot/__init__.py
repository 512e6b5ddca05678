"""How one job on one board runs: plan, engine, evidence, verdict, run folders."""
