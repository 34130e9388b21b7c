// ASSERT: what *we* do wrong stops the process at once, in release builds too.
//
// Recovery from a crash is tested; carrying on with a broken invariant is not.
#pragma once

namespace millrace {

/// Prints the failed condition and aborts.
[[noreturn]] void assert_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace millrace

#define ASSERT(condition)                                \
    (static_cast<bool>(condition) ? static_cast<void>(0) \
                                  : ::millrace::assert_failed(#condition, ASSERT_FILE, __LINE__))

#if defined(__FILE_NAME__)
#define ASSERT_FILE __FILE_NAME__
#else
#define ASSERT_FILE __FILE__
#endif
