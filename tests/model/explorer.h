// The explorer: runs small multi-threaded programs in every way the memory model allows.
//
// A program's threads are fibers. Each access to shared memory (model/atomics.h) stops its fiber;
// the explorer then tries every thread's next access, every value a load may return, every place
// in modification order a store may take, and, where allowed, the thread's death right before the
// access. It saves the whole state (memory, fibers' stacks, plain bytes) at each branch and comes
// back to it; a state that was met before is not explored again.
//
// Complete for programs whose state space is finite; polls in vain come back to the same state by
// checkpoint(). At the end, each state must have a way to the end of the program that needs no
// death and no lucky wake-up: otherwise something was lost or everybody sleeps.
#pragma once

#include "tests/model/memory.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

namespace millrace::model {

/// How a thread may end and who follows it.
struct Role {
    std::string name;
    int heir_of = -1;     // starts when that thread is proven dead
    bool mortal = false;  // may be killed before each of its accesses
};

struct Limits {
    unsigned deaths = 0;          // in one execution, of all threads together
    unsigned spurious_wakes = 0;  // of futex waits
    std::uint64_t states = 20'000'000;
};

/// A program to explore. `build` makes the shared objects and adds the threads.
class World;
struct Scenario {
    std::string name;
    Limits limits;
    std::function<void(World&)> build;
};

struct Outcome {
    bool violated = false;
    bool complete = false;  // every state explored; false after a violation or beyond limits
    std::string what;       // the violation
    std::vector<std::string> trace;
    std::uint64_t states = 0;
    std::uint64_t transitions = 0;
    std::uint64_t executions = 0;  // runs to an end, or to a state met before
    double interleavings = 0;      // different complete executions covered, polls in vain aside
    std::uint64_t deaths = 0;      // transitions that killed a thread
};

/// Outcome::what of a scenario that found no violation but no room either: it proves nothing.
inline constexpr const char* kTooLarge = "the scenario is too large for the explorer's tables";

/// Explores `scenario` in full or up to its first violation.
/// Threads: one exploration at a time in a process (the fibers find it by a global).
[[nodiscard]] Outcome explore(const Scenario& scenario);

/// Handed to Scenario::build. Objects live until the exploration ends, at the same address.
class World {
public:
    /// A shared object, in memory that is saved and hashed. Trivially destructible types only.
    template <class T, class... Args>
    T* make(Args&&... args) {
        return ::new (allocate(sizeof(T), alignof(T))) T(std::forward<Args>(args)...);
    }
    template <class T>
    T* make_array(std::size_t count) {
        auto* first = static_cast<T*>(allocate(sizeof(T) * count, alignof(T)));
        for (std::size_t i = 0; i < count; ++i) {
            ::new (first + i) T();
        }
        return first;
    }
    /// @return the thread's number, for Role::heir_of. The body must not touch the heap.
    int thread(Role role, std::function<void()> body);
    /// Called at the end of each execution: check() what must hold then.
    void at_end(std::function<void()> check);

private:
    [[nodiscard]] static void* allocate(std::size_t bytes, std::size_t alignment);
};

// -- called from the threads of a scenario --------------------------------------------------------

/// States a property; a false one ends the exploration with the trace that led here.
void check(bool holds, const char* what);

/// "All that I still know is in these bytes": forgets the thread's history, so that states that
/// differ only in how they were reached are one. Everything live must be in `bytes`.
void checkpoint(const void* bytes, std::size_t count);

// -- memory orders as sites, and their mutants ----------------------------------------------------

/// A memory order written in the explored code.
struct Site {
    std::string file;
    unsigned line = 0;
    unsigned column = 0;
    std::string operation;  // "load acquire", ...
    bool stronger_than_relaxed = false;
};
/// All sites met so far, in the order of file and line.
[[nodiscard]] std::vector<Site> sites();
/// From now on `site` is relaxed (a fence: gone); nullptr: all as written.
void weaken(const Site* site);

}  // namespace millrace::model
