// RetcodeStand: orders of one kind in one state, and a report that is given to one of them.
//
// Many orders wait side by side, and each report takes the next one: the engine is put back to its
// image only when they are used up or a report touched more than its order.
#pragma once

#include "tests/engine/rig.h"

#include <array>
#include <string_view>

namespace millrace::test {

enum class Kind : std::uint8_t { Market, Pending, Close, Modify, Cancel };
inline constexpr std::array kKinds = {Kind::Market, Kind::Pending, Kind::Close, Kind::Modify,
                                      Kind::Cancel};
enum class Stand : std::uint8_t {
    Held,      // its account is away: never sent
    Retry,     // refused for now: waits for its next attempt
    Sent,      // PENDING_NEW
    Doubted,   // IN_DOUBT
    Working,   // Pending only: NEW
    PartDone,  // Pending only: PARTIALLY_FILLED, 0.04 of 0.10
    Over,      // final; a Market one's position is open
};
inline constexpr std::array kStands = {Stand::Held,    Stand::Retry,    Stand::Sent, Stand::Doubted,
                                       Stand::Working, Stand::PartDone, Stand::Over};
/// Whether an order of that kind can be in that state.
[[nodiscard]] constexpr bool can_be(Kind k, Stand s) noexcept {
    return k == Kind::Pending || (s != Stand::Working && s != Stand::PartDone);
}

/// What carries a return code.
enum class Word : std::uint8_t {
    Nothing,  // Outcome without a volume
    Part,     // Outcome, 0.04 done
    All,      // Outcome, all of it (of what is left) done
    Older,    // Outcome about another attempt
    Found,    // QueryFound, "rejected"
};
inline constexpr std::array kWords = {Word::Nothing, Word::Part, Word::All, Word::Older,
                                      Word::Found};

/// How an order stands, or how it ended if that was told just now.
struct Standing {
    bool known = false;  // false: it left the table before
    OrdStatus status{};
    Reason reason{};
    bool retrying = false;
    Lots cum;
    friend bool operator==(const Standing&, const Standing&) = default;
};

class RetcodeStand {
public:
    RetcodeStand(Kind kind, Stand stand);

    /// Gives the next order a report. What came out is in the members below until the next call.
    void give(Word word, std::uint32_t code);
    /// After a report that touched the account: the next one begins from the image.
    void put_back() { next_ = kOrders; }

    Standing before;
    Standing after;
    std::size_t ends = 0;     // OrderDone results
    std::size_t doubts = 0;   // OrderInDoubt results
    std::size_t orders = 0;   // orders put out
    std::size_t doubles = 0;  // executions of an order that is over
    Lots volume;              // of the report
    [[nodiscard]] const Account& account() const { return rig_.engine.account(AccountId{0}); }
    [[nodiscard]] const AccountRisk& risk() const { return rig_.engine.account_risk(AccountId{0}); }

private:
    static constexpr std::uint32_t kOrders = 24;
    struct Place {
        std::uint32_t index = kNoId;  // in the engine's table
        Magic magic;
        std::uint64_t position = 0;
    };

    void make_parents(Kind kind);
    void make(Kind kind, Stand stand);
    void bring(const OrderCommand& c, Kind kind, Stand stand);
    [[nodiscard]] Standing standing(const Place& p) const;

    Rig rig_;
    std::vector<OrderCommand> parents_;
    std::array<Place, kOrders> places_;
    std::vector<std::byte> image_;
    std::uint32_t next_ = 0;
    std::uint64_t deal_ = 50'000'000;
};

}  // namespace millrace::test
