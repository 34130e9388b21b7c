// The terminal's own file: commands received with what became of them, and events not yet
// acknowledged. Appended before acting, so it survives the terminal's death (mt5.md 4.2, gate 2).
#pragma once

#include "core/order_command.h"
#include "gateway/bridge_wire.h"
#include "tools/simbroker/append_file.h"

#include <deque>
#include <map>
#include <string>
#include <unordered_map>

namespace millrace::sim {

enum class IntentState : std::uint8_t {
    Received = 1,  // journalled, not sent to the trade server: sending it is safe
    Sending = 2,   // the trade server may have seen it
    Answered = 3,  // `answer` says what became of it
};

struct Intent {
    std::uint64_t seq = 0;         // of the command that brought it
    std::int64_t received_ns = 0;  // wall clock; its ttl runs from here
    bridge::Command command{};
    IntentState state{};
    std::uint8_t reserved[7] = {};
    bridge::Event answer{};  // Answered
};

struct StoredEvent {
    std::uint64_t seq = 0;
    bridge::Event event{};
};

/// What a session must remember for ever.
struct SessionMemory {
    std::uint64_t generation = 0;     // highest seen
    std::uint64_t epoch = 0;          // highest seen
    std::uint64_t command_epoch = 0;  // that command_seq counts in
    std::uint64_t command_seq = 0;    // last command journalled
    std::uint64_t magic_tag = 0;
};
/// A kill in force. A cleared one is kept too, so that a repeat of its frame does nothing.
struct KillMemory {
    std::uint64_t kill_id = 0;
    std::uint8_t actions = 0;  // kKill* bits; 0 = cleared
    std::uint8_t reserved[7] = {};
    Text<16> symbol;  // all zero = every symbol
};

/// How much of the past the journal can vouch for.
struct IntactMemory {
    std::uint64_t floor_intent = 0;  // intents up to this one may have been known to a lost journal
    std::uint8_t intact = 1;         // 0 = nothing yet, the journal was lost
    std::uint8_t reserved[7] = {};
};

struct JournalOptions {
    std::string path;  // empty = memory alone: nothing survives (a fault on purpose)
    std::uint64_t login = 0;
    std::uint64_t new_id = 0;          // identity if a new journal must be made; not 0
    std::int64_t now_ns = 0;           // wall clock, kept as the time a new journal was made
    std::uint64_t book_number = 0;     // events of earlier book records are not of a new journal
    bool account_has_history = false;  // a new journal of an account with our orders: one was lost
};

/// Intents from here on are an executor's own (orders of its kill switch). No engine gets there: a
/// directory's ids begin below 2^44 (persist/reservation.h) and 2^40 more are never handed out.
inline constexpr std::uint64_t kOwnIntents = (std::uint64_t{1} << 44U) + (std::uint64_t{1} << 40U);

/// How many answered intents are remembered; older ones are forgotten (mt5.md 4.2).
inline constexpr std::size_t kIntentsMax = 10'000;

/// Threads: one. Every mutating call writes before it changes memory; a failed write is final.
class IntentJournal {
public:
    /// Loads or creates. A torn last record is cut. The file is rewritten when most of it is past.
    /// @return Errc::BadChecksum if a record inside is damaged, Errc::BadMagic if it is of another
    ///         account, errors of AppendFile::open().
    [[nodiscard]] static Result<IntentJournal> open(const JournalOptions& options);

    [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
    [[nodiscard]] std::int64_t created_ns() const noexcept { return created_ns_; }
    [[nodiscard]] const SessionMemory& session() const noexcept { return session_; }
    /// Kills in force, by symbol (all zero = every symbol).
    [[nodiscard]] const std::map<Text<16>, KillMemory>& kills() const noexcept { return kills_; }
    [[nodiscard]] const IntactMemory& intact() const noexcept { return intact_; }
    [[nodiscard]] std::uint64_t event_seq() const noexcept { return event_seq_; }
    [[nodiscard]] std::uint64_t book_number() const noexcept { return book_number_; }
    [[nodiscard]] const std::deque<StoredEvent>& unacknowledged() const noexcept { return events_; }
    /// nullptr = never seen, or forgotten.
    [[nodiscard]] const Intent* find(std::uint64_t magic) const noexcept;
    /// Magics in the order they came.
    [[nodiscard]] const std::deque<std::uint64_t>& order() const noexcept { return order_; }

    [[nodiscard]] Status remember(const SessionMemory& session);
    [[nodiscard]] Status remember(const KillMemory& kill);
    [[nodiscard]] Status remember(const IntactMemory& intact);
    /// A command of the session's sequence that makes no intent: a query, a repeat, a stale one.
    [[nodiscard]] Status received_without_intent(std::uint64_t seq);
    /// A new intent. Replaces what was known of its magic.
    [[nodiscard]] Status received(const Intent& intent);
    [[nodiscard]] Status sending(std::uint64_t magic);
    /// Appends an event with the next number. @param answers magic that it answers for good;
    /// 0 = none. @param book_number last book record it covers; 0 = none. @return its number.
    [[nodiscard]] Result<std::uint64_t> add_event(const bridge::Event& event, std::uint64_t answers,
                                                  std::uint64_t book_number);
    /// The other side has everything up to `seq` for good.
    [[nodiscard]] Status acknowledged(std::uint64_t seq);
    /// Numbers events above `base` from now on, unacknowledged ones included: the peer has seen
    /// numbers of a lost journal up to it.
    [[nodiscard]] Status renumber_above(std::uint64_t base);
    /// Waits until all of it is on disk: for executors whose orders are real.
    [[nodiscard]] Status sync() noexcept;

private:
    enum class Kind : std::uint8_t;
    struct Head;

    template <class Body>
    [[nodiscard]] Status write(Kind kind, const Body& body);
    [[nodiscard]] Status load(std::span<const std::byte> bytes, std::uint64_t login);
    [[nodiscard]] Status replay(Kind kind, std::span<const std::byte> body, std::uint64_t login);
    [[nodiscard]] Status replay_identity(std::span<const std::byte> body, std::uint64_t login);
    [[nodiscard]] Status replay_intent(Kind kind, std::span<const std::byte> body);
    [[nodiscard]] Status replay_number(Kind kind, std::span<const std::byte> body);
    [[nodiscard]] Status create(const JournalOptions& options);
    [[nodiscard]] Status compact();
    [[nodiscard]] Status write_state();
    void keep(const Intent& intent);
    void keep(const KillMemory& kill);
    void keep_event(std::uint64_t seq, std::uint64_t book_number, std::uint64_t answers,
                    const bridge::Event& event);
    void drop_acknowledged(std::uint64_t seq);
    void renumber(std::uint64_t base);

    AppendFile file_;
    std::string path_;
    std::uint64_t login_ = 0;
    std::uint64_t id_ = 0;
    std::int64_t created_ns_ = 0;
    std::uint64_t event_seq_ = 0;
    std::uint64_t book_number_ = 0;
    SessionMemory session_;
    std::map<Text<16>, KillMemory> kills_;
    IntactMemory intact_;
    std::unordered_map<std::uint64_t, Intent> intents_;
    std::deque<std::uint64_t> order_;
    std::deque<StoredEvent> events_;
};

}  // namespace millrace::sim
