// What a test needs and chance may withhold: that somebody was killed, that a ring was full, that
// anything was traded on a machine that stood still. Without it nothing was shown, neither good nor
// bad, and tools/lib.sh may run such a test again, even one of safety; a claim is never said so.
#pragma once

#include <gtest/gtest.h>

/// Fails the test as one that has shown nothing, unless `condition` holds. Streams like
/// EXPECT_TRUE: what was missing. Only for preconditions, never for what the test is about.
// clang-format off
#define EXPECT_GIVEN(condition)     \
    GTEST_AMBIGUOUS_ELSE_BLOCKER_   \
    if (static_cast<bool>(condition)) \
        ;                           \
    else                            \
        ADD_FAILURE() << "NOT PROVEN: "

/// The same, and leaves the function: without it there is nothing to go on with.
#define ASSERT_GIVEN(condition)     \
    GTEST_AMBIGUOUS_ELSE_BLOCKER_   \
    if (static_cast<bool>(condition)) \
        ;                           \
    else                            \
        FAIL() << "NOT PROVEN: "
// clang-format on
