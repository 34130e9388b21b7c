// Ways to move a cache line other than to read or write it, for the variants and the limits.
#pragma once

#include "bench/ring/queues.h"

namespace millrace::bench::inline MILLRACE_BENCH_BUILD {

/// Asks for a line to be written, ahead of time.
inline void prefetch_to_write(const void* line) noexcept {
#if defined(__x86_64__)
    // The builtin asks for it to be read, unless the compiler is told of a newer processor.
    asm volatile("prefetchw %0" ::"m"(*static_cast<const char*>(line)));
#else
    __builtin_prefetch(line, 1, 3);
#endif
}

/// Asks for all lines of a message or slot to be read, ahead of time. (To be written: the ring's
/// own ask_to_write().)
template <class Slot>
inline void ask_to_read(const Slot& slot) noexcept {
    for (std::size_t at = 0; at < sizeof slot; at += 64) {
        __builtin_prefetch(reinterpret_cast<const char*>(&slot) + at, 0, 3);
    }
}

/// Asks for a line to be moved from this core's caches to the shared one (CLDEMOTE, a hint; no
/// operation where it is unknown).
inline void demote(const void* line) noexcept {
#if defined(__x86_64__)
    asm volatile(".byte 0x0f, 0x1c, 0x07" ::"D"(line) : "memory");  // cldemote (%rdi)
#else
    static_cast<void>(line);
#endif
}

/// write_words() by stores that do not fetch the line. They are weakly ordered, so a fence has to
/// stand before the release store of the number. Elsewhere than on x86: plain stores.
inline void write_words_past_caches(std::span<std::uint64_t> words, std::uint64_t n) noexcept {
#if defined(__x86_64__)
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::uint64_t word = i + 1 < words.size() ? n + 1 + i : 0;
        __builtin_ia32_movnti64(reinterpret_cast<long long*>(&words[i]),
                                static_cast<long long>(word));
    }
    __builtin_ia32_sfence();
#else
    write_words(words, 1, n, 0);
#endif
}

}  // namespace millrace::bench::inline MILLRACE_BENCH_BUILD
