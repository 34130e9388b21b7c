// The machine under the explorer: fibers, the modelled memory and the plain bytes they share, with
// save and restore of all of it. One exists at a time; fibers and hooks find it by `machine()`.
#pragma once

#include "tests/model/atomics.h"

#include <ucontext.h>

#include <array>
#include <functional>
#include <string>
#include <vector>

namespace millrace::model {

inline constexpr std::size_t kStackBytes = 32 * 1024;
inline constexpr std::size_t kRegionBytes = 2048;

enum class Status : std::uint8_t { Absent, Ready, Asleep, Dead, Done };

/// What of a thread is saved and restored besides its stack.
struct ThreadState {
    Access access{};  // the next one
    std::array<std::uint64_t, 2> history{};
    Status status = Status::Absent;
};

struct Counters {
    std::uint32_t deaths_left = 0;
    std::uint32_t spurious_left = 0;
};

/// One alternative of a state: what happens next.
enum class Move : std::uint8_t { Step, Die, WakeSpuriously };
struct Choice {
    Move move = Move::Step;
    std::uint8_t thread = 0;
    std::uint8_t outcome = 0;  // of the access, numbered as Memory numbers them
    [[nodiscard]] bool fair() const noexcept { return move == Move::Step; }
};

struct Digest {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    friend bool operator==(const Digest&, const Digest&) = default;
};

class Machine {
public:
    explicit Machine(const Limits& limits);
    ~Machine();
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    // Building.
    void* allocate(std::size_t bytes, std::size_t alignment);
    int add_thread(Role role, std::function<void()> body);
    void start();  // runs every thread that is nobody's heir up to its first access

    // Exploring.
    void choices(std::vector<Choice>& out) const;
    void apply(const Choice& choice);
    /// "name: what it did", of the choice that was applied last.
    [[nodiscard]] std::string last_step() const;
    [[nodiscard]] bool finished() const noexcept;
    [[nodiscard]] Digest digest();
    void save(std::vector<std::byte>& to) const;
    void restore(const std::vector<std::byte>& from);

    // From the fibers.
    void perform(Access& access, const Here& here);
    void violate(const char* what);
    void checkpoint(const void* bytes, std::size_t count);

    Memory memory{};
    std::vector<std::function<void()>> end_checks;
    std::array<std::string, kLocationsMax> location_names{};
    const char* violation = nullptr;

    [[nodiscard]] std::size_t threads() const noexcept { return bodies_.size(); }
    [[nodiscard]] std::uint8_t running() const noexcept { return running_; }
    [[nodiscard]] std::size_t offset_of(const void* p) const noexcept;

private:
    struct Fiber {
        alignas(64) std::array<std::byte, kStackBytes> stack;
        ucontext_t context;
        std::byte* low;  // of the used part of the stack, when it stopped last
    };

    static void entry();
    static void prepare(Fiber& fiber);
    void resume(std::uint8_t thread);
    void stop_here();
    void begin(std::uint8_t thread);
    void die(std::uint8_t thread);
    void step(std::uint8_t thread, unsigned outcome);
    void compare(std::uint8_t thread, Access& access, unsigned outcome);
    void futex_wait(std::uint8_t thread, Access& access, unsigned outcome);
    void futex_wake(std::uint8_t thread, const Access& access);
    [[nodiscard]] unsigned outcomes(std::uint8_t thread) const;
    void note(std::uint8_t thread);

    std::vector<std::function<void()>> bodies_;
    std::vector<Role> roles_;
    std::vector<Fiber> fibers_;
    ucontext_t scheduler_{};
    std::array<ThreadState, kThreadsMax> states_{};
    Counters left_;
    std::size_t region_used_ = 0;
    std::uint8_t running_ = 0;
    bool in_fiber_ = false;
    Choice last_{};
    Access last_access_{};
    std::vector<std::byte> digest_buffer_;
    alignas(64) std::array<std::byte, kRegionBytes> region_{};
};

[[nodiscard]] Machine& machine();

// sites.cpp: memory orders as they are written in the explored code.
[[nodiscard]] std::uint16_t site_of(const Here& here, Kind kind, std::memory_order order);
[[nodiscard]] bool weakened(std::uint16_t site);
[[nodiscard]] unsigned line_of(std::uint16_t site);
[[nodiscard]] const char* text_of(std::memory_order order);

}  // namespace millrace::model
