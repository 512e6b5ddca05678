"""What stands here: boards, secrets, leases, captures."""
