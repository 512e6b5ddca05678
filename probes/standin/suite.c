#include "suite.h"

#include "clock.h"
#include "print.h"

/* libsel4test src/testreporter.c, sel4test-driver src/main.c */
void suite_run(unsigned tests, bool fails)
{
    unsigned passed = 0;
    print("Starting test suite sel4test\nStarting test 0: Test that there are tests\n");
    for (unsigned test = 1; test < tests; test++) {
        bool this_fails = fails && test == tests - 1;
        print("Starting test %u: STANDIN%04u\nRunning test STANDIN%04u (Test that the stand-in waits)\n", test, test,
              test);
        wait_ms(50);
        if (this_fails) {
            print("\tFailure: stand-in == real at line 1 of file suite.c\n");
        }
        print("Test STANDIN%04u %s\n", test, this_fails ? "failed" : "passed");
        passed += !this_fails;
    }
    print("Starting test %u: Test all tests ran\n", tests);
    if (fails) {
        print("Test suite failed. %u/%u tests passed. 0 tests disabled.\n*** FAILURES DETECTED ***\n", passed + 2,
              tests + 1);
    } else {
        print("Test suite passed. %u tests passed. 0 tests disabled.\nAll is well in the universe\n", tests + 1);
    }
    print("\n\n");
}
