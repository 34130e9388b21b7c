// Runs a function in a child process one machine instruction at a time, and kills it where asked.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

namespace millrace {

/// What became of a child that was stepped.
struct Stepped {
    bool refused = false;      // the kernel does not let us trace our own child
    bool reached_end = false;  // the function returned before the wanted number of instructions
    std::uint64_t instructions = 0;
};

inline constexpr std::uint64_t kToTheEnd = ~std::uint64_t{0};

/// Called in the tracer with the bytes at each instruction that is about to be made: it begins with
/// the first of them, what follows it are others.
using EachInstruction = std::function<void(std::span<const unsigned char>)>;

/// Forks; the child runs `prepare` freely, then `body` instruction by instruction. After `count`
/// instructions of `body` (and the call of it) it is killed by SIGKILL and reaped; at its end too.
/// Both must not allocate. x86-64 only; elsewhere `refused`.
/// Threads: the caller must be the process's only one.
Stepped step(const std::function<void()>& prepare, const std::function<void()>& body,
             std::uint64_t count, const EachInstruction& each = {});

/// @return what makes the x86-64 instruction at `code` one that waits for stores to be seen by
/// others
/// ("lock", "xchg", "mfence", "sfence", "lfence") or leaves the process ("syscall"); else nullptr.
const char* waits_or_leaves(std::span<const unsigned char> code) noexcept;

}  // namespace millrace
