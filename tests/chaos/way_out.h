// WayOut: positions and pending orders that their sources want to leave while the journal does not
// write. Two sources: the world's own over TCP, one in shared memory. The broker's books tell.
#pragma once

#include "tests/chaos/beside.h"
#include "tests/chaos/raw_source.h"
#include "tests/chaos/world.h"

#include <array>
#include <functional>
#include <string>

namespace millrace::chaos {

/// The accounts of group `hedging` are half of the world's.
/// Threads: one.
class WayOut {
public:
    /// Edits of millrace.json that it needs.
    [[nodiscard]] static std::vector<Edit> configured() {
        return {Beside::configured(), RawSource::configured("hand")};
    }
    /// @param each_turn what the test does meanwhile.
    explicit WayOut(World& world, std::function<void()> each_turn = [] {});

    /// Either source opens a position and places an order on each account, and it is there.
    [[nodiscard]] bool opens();
    /// Each sends a close and a cancel; the one over TCP an entry besides, which has to wait.
    void leaves();
    /// Until the broker has closed and cancelled all of it. @return false if it has not in time.
    [[nodiscard]] bool is_out();
    /// Of what leaves() sent nothing is acknowledged to the source over TCP, whose level is `disk`,
    /// and the entry is not at the broker.
    void expect_no_ack_and_no_entry();
    /// Entries of both sources are refused with these words, to be sent again.
    void expect_entries_refused(const std::string& words);
    /// The journal writes again: everything is answered, known if it is sent once more, and the
    /// broker has done each of it once.
    void expect_all_answered_and_nothing_twice();

private:
    enum class Door { Tcp, Memory };
    struct Thing {
        Door door;
        PriceKind kind;  // a limit stays where it is; a market order becomes a position
        SignalId in{};
        SignalId out{};
    };
    struct Books;

    [[nodiscard]] SignalId send(Door door, const demo::Planned& planned);
    [[nodiscard]] demo::Planned entry(PriceKind kind);
    [[nodiscard]] demo::Planned exit_of(const Thing& thing);
    [[nodiscard]] bool is_in(const Thing& thing, const Books& books);
    [[nodiscard]] bool is_out(const Thing& thing, const Books& books) const;
    [[nodiscard]] bool has_failed(const Thing& thing);
    [[nodiscard]] bool is_answered(const Thing& thing);
    [[nodiscard]] bool until(const std::function<bool()>& done);

    World& world_;
    std::function<void()> each_turn_;
    Beside beside_;
    market::Random random_{4711};
    std::size_t accounts_ = 0;  // of the group
    std::array<Thing, 4> things_{
        Thing{Door::Tcp, PriceKind::Market}, Thing{Door::Tcp, PriceKind::Limit},
        Thing{Door::Memory, PriceKind::Market}, Thing{Door::Memory, PriceKind::Limit}};
    SignalId held_;  // the entry that came with the closes
};

}  // namespace millrace::chaos
