// Which stores lag: each is told once when it lacks what is 30 s old, whether it fails or is only
// slow, how it gets on (a store that is filled anew takes its time), and once when it follows
// again. Pure.
#pragma once

#include "shm/layout.h"
#include "tools/millrace/config.h"

#include <cstdint>
#include <string>
#include <vector>

namespace millrace {

/// One store. Threads: one.
class SinkLag {
public:
    static constexpr Nanos kLate = seconds(30);    // requirements C7, R136
    static constexpr Nanos kFollows = seconds(5);  // requirement R177
    /// A longer time between two looks counts as this: the machine or the process stood still.
    static constexpr Nanos kLookMax = seconds(1);

    enum class News : std::uint8_t { None, Late, Follows };

    /// To be called several times a second.
    /// @param owed a record that the store comes to once it has all of the effects log
    /// @param stored the last one whose effects are all in the store
    [[nodiscard]] News look(std::uint64_t owed, std::uint64_t stored, Nanos now) noexcept;
    /// Told so, and does not follow again.
    [[nodiscard]] bool is_late() const noexcept { return late_; }

private:
    /// A record that the store lacked, and since when it owed it.
    struct Mark {
        std::uint64_t seq = 0;
        Nanos at;
    };
    static constexpr Nanos kMarkEvery = seconds(1);
    static constexpr std::size_t kMarks = 32;  // more than kLate's; what is older needs none

    Mark marks_[kMarks];  // oldest first
    std::size_t count_ = 0;
    Nanos looked_;       // last; 0: never
    Nanos awake_;        // time in which somebody looked
    bool late_ = false;  // as told
};

/// Those of one configuration. Threads: one.
class SinkLags {
public:
    struct Told {
        std::vector<std::string> alerts;  // without the word ALERT
        std::vector<std::string> infos;
    };

    explicit SinkLags(const Config& config) noexcept;

    /// @param core of the segment. @return what is new; nothing most of the time.
    [[nodiscard]] Told turn(const CoreCells& core, Nanos now);

private:
    struct Sink {
        const char* name;
        bool enabled;
        AtomicU64 CoreCells::* stored;
        SinkLag lag{};
        std::uint64_t shown = 0;  // record where it was, as told last
        Nanos shown_at{};
    };
    static constexpr Nanos kShowEvery = seconds(30);

    void look_at_effects(const CoreCells& core) noexcept;
    void show(Sink& sink, std::uint64_t stored, Nanos now, Told& told) const;

    Sink sinks_[3];
    std::uint64_t owed_ = 0;     // each store comes to this record
    std::uint64_t applied_ = 0;  // by the replica, when it was looked at last
    std::uint64_t written_ = 0;  // effects, then
};

}  // namespace millrace
