// OrderBook: our orders at one FIX account, moved on by what the venue says (FIX 4.4 volume 4,
// "Order State Change Matrices"), and what the engine is told about it: events of the bridge
// protocol, as a terminal would send them.
//
// Three rules decide more than the table in README.md:
//  1. CumQty(14) is the truth about fills, ExecType only a hint: what it has risen by since the
//  last
//     report is booked once, whatever was lost or came twice. A status answer (150=I) books
//     nothing.
//  2. The engine takes one answer to a market order or close. It is given when the order is over.
//  3. A final state is left by nobody. What comes later is an alert, not a change.
#pragma once

#include "core/index_map.h"
#include "gateway/bridge_wire.h"
#include "gateway/fix/incoming.h"
#include "gateway/fix/order_state.h"
#include "gateway/fix/outgoing.h"

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace millrace::fix {

/// What a message was about besides its events. For the log and for alerts; the two marked (!) mean
/// that our books and the venue's differ, (?) that OrderStatusRequest should be sent.
enum class Note : std::uint8_t {
    None = 0,
    Repeat,         // of a report that was taken already
    Stale,          // CumQty below what an earlier report said: nothing was taken from it
    Status,         // a status answer that says nothing new
    Pending,        // received by the venue, not accepted yet; or a cancel or replace is pending
    Foreign,        // of an order that is not ours
    UnknownOrder,   // ours by its id, but not in this book (?)
    Bust,           // the venue took a trade back (!)
    Correct,        // the venue changed a trade (!)
    Shrunk,         // final with a CumQty below what was booked (!)
    Late,           // execution of an order that was over (!)
    Contradiction,  // Filled without a quantity, a reject of what was filled, and the like (?)
    Ask,  // a cancel or replace was refused because the order is over, which we missed (?)
    VenueKnowsNot,  // the venue says that it has no such order: absence, if more evidence agrees
    Refused,        // session or business reject of something that is no order, cancel or replace
    LoggedOut,
};

/// Events for the engine, in order, and a note.
struct Answer {
    static constexpr std::size_t kEventsMax = 4;
    std::array<bridge::Event, kEventsMax> events{};
    std::size_t count = 0;
    Note note = Note::None;
    Magic magic;  // of the order that the note is about; 0 = none of ours. VenueKnowsNot: of the
                  // cancel or replace, if that was the name
};

/// Threads: one. No allocation after construction.
class OrderBook {
public:
    /// @param orders_max orders, cancels and replaces remembered; the oldest that are over make
    /// room.
    /// @param magic_tag  of our deployment: orders with another one are foreign.
    /// `instruments` and `profile` outlive the book.
    OrderBook(std::uint32_t orders_max, std::uint64_t magic_tag,
              std::span<const Instrument> instruments, const Profile& profile);

    /// A command is about to leave, or has left before a restart: what comes back is about it.
    /// Before the message leaves, because its answer can be quicker than the sender.
    /// @return BadInput for a command that is no order, cancel or replace, or repeats a magic, or
    /// has a symbol or volume we cannot say; NotFound: the order to cancel or replace is unknown;
    /// NoSpace: orders_max are alive.
    [[nodiscard]] Status add(const bridge::Command& command) noexcept;
    /// It left under this MsgSeqNum; session rejects name nothing else.
    void note_sequence(Magic magic, std::uint64_t msg_seq_num) noexcept;
    /// OrderStatusRequest for it is about to leave: a business reject that does not say what it
    /// rejects may mean that from now on.
    void note_asked(Magic magic) noexcept;
    /// Numbers begin anew: what was noted means nothing any more.
    void forget_sequences() noexcept;

    /// What a cancel, replace or status request has to name. @return NotFound
    [[nodiscard]] Result<Reference> reference(Magic magic) const noexcept;

    /// For the disk. nullopt: not in the book.
    [[nodiscard]] std::optional<OrderState> state(Magic magic) const noexcept;
    /// Puts back what state() gave, in place of what there is of that magic.
    /// @return BadInput: its symbol has no instrument any more; NoSpace.
    [[nodiscard]] Status restore(const OrderState& state) noexcept;
    /// It has not left after all, or is proven absent: no report about it is expected.
    void close(Magic magic) noexcept;
    /// A person has seen at the venue what became of it: it ends, unless it has ended. `done`: it
    /// was carried out, an order with `volume` in all at `price`. What the venue says of it later
    /// is taken as of any order that is over.
    void resolve(Magic magic, bool done, Lots volume, Price price) noexcept;
    /// Orders that are not over. Allocates.
    [[nodiscard]] std::vector<Magic> alive() const;

    /// Takes in a message.
    [[nodiscard]] Answer apply(const Incoming& in) noexcept;

    [[nodiscard]] const Instrument* instrument(const char (&symbol)[16]) const noexcept;

private:
    static constexpr std::size_t kExecIdsMax = 8;
    struct Entry {
        bridge::Command command{};
        const Instrument* instrument = nullptr;
        Magic current;  // ClOrdID at the venue now: of the newest confirmed replace
        Magic child;    // newest cancel or replace of it that is not answered; 0 = none
        std::uint64_t sequence = 0;
        std::int64_t quantity = 0;  // ordered, venue's units
        std::int64_t seen = 0;      // CumQty of the newest report
        std::int64_t booked = 0;    // highest CumQty ever: what the engine has been or will be told
        __int128 notional = 0;      // of `booked`, from LastPx, for venues without AvgPx
        std::int64_t avg_px = 0;    // of the newest report
        bool answered = false;      // the engine has its Outcome
        bool asked = false;         // a status request for it has left
        bool over = false;
        char order_id[32] = {};  // empty if longer
        std::uint8_t order_id_bytes = 0;
        std::array<std::uint64_t, kExecIdsMax> exec_ids{};
        std::uint8_t exec_ids_next = 0;

        [[nodiscard]] Magic magic() const noexcept { return Magic{command.magic}; }
        [[nodiscard]] CommandType type() const noexcept {
            return static_cast<CommandType>(command.type);
        }
        [[nodiscard]] bool is_order() const noexcept {
            return type() == CommandType::Open || type() == CommandType::Close;
        }
        [[nodiscard]] bool is_pending() const noexcept {
            return type() == CommandType::Open &&
                   static_cast<PriceKind>(command.price_kind) != PriceKind::Market;
        }
    };
    /// What a report added to CumQty, in venue's units; 0 = nothing.
    struct Fill {
        std::int64_t quantity = 0;
        std::int64_t price = 0;
    };
    /// The order that a report is about, and the cancel or replace that it answers, if any.
    struct Subject {
        Entry* order = nullptr;
        Entry* child = nullptr;
    };

    [[nodiscard]] Entry* find(Magic magic) noexcept;
    [[nodiscard]] const Entry* find(Magic magic) const noexcept;
    [[nodiscard]] Entry* free_entry() noexcept;
    [[nodiscard]] Subject subject_of(const Incoming& in) noexcept;
    [[nodiscard]] std::optional<Magic> our_magic(std::string_view cl_ord_id) const noexcept;

    // order_book_execution.cpp
    [[nodiscard]] Answer on_execution(const Incoming& in) noexcept;
    [[nodiscard]] Answer on_unmatched(const Incoming& in) noexcept;
    void on_status(Subject subject, const Incoming& in, Answer& answer) noexcept;
    void on_trade_change(Entry& order, const Incoming& in, Answer& answer) noexcept;
    void on_report(Subject subject, const Incoming& in, Answer& answer) noexcept;
    void end_order(Entry& order, const Incoming& in, Answer& answer) noexcept;
    void end_pending(Entry& order, const Entry* child, const Incoming& in, Answer& answer) noexcept;
    void move_pending(Entry& order, const Incoming& in, Fill fill, Answer& answer) noexcept;
    void answer_child(Subject subject, const Incoming& in, Answer& answer) noexcept;
    [[nodiscard]] Fill take_fill(Entry& order, const Incoming& in) noexcept;
    [[nodiscard]] bool is_repeat(Entry& order, const Incoming& in) noexcept;
    [[nodiscard]] bridge::Event event_of(ReportType type, const Entry& about,
                                         const Incoming& in) const noexcept;

    // order_book_reject.cpp
    [[nodiscard]] Answer on_cancel_reject(const Incoming& in) noexcept;
    [[nodiscard]] Answer on_business_reject(const Incoming& in) noexcept;
    [[nodiscard]] Answer on_session_reject(const Incoming& in) noexcept;
    void refuse(Entry& entry, std::uint32_t retcode, Answer& answer) noexcept;

    const std::uint64_t magic_tag_;
    std::span<const Instrument> instruments_;
    const Profile& profile_;
    IndexMap index_;
    std::uint32_t capacity_;
    std::uint32_t used_ = 0;
    std::uint32_t oldest_ = 0;  // where the search for one that is over begins
    std::unique_ptr<Entry[]> entries_;
};

[[nodiscard]] std::string_view to_string(Note note) noexcept;

}  // namespace millrace::fix
