// operator new that can be told to abort: for tests that nothing allocates on the hot path. Linked
// in once a test program (trapping_new.cpp replaces the global operators).
#pragma once

#include <cstddef>

namespace millrace::test {

/// While true, an allocation by this thread says its size and aborts.
extern thread_local bool trap_allocations;
/// Allocations by this thread so far: shows that the counting operators are the ones in use.
extern thread_local std::size_t allocations;

}  // namespace millrace::test
