// Session: one account at the broker stage: its command queue, its link to a terminal, and what
// each of them permits the other.
//
// Resume (gateway/bridge_wire.h): at Hello the terminal's intent journal decides about every
// Claimed command. Same journal and same command epoch: what it names is settled, what it does not
// name is proven not received and is queued again, marked as resent (an expired entry is then
// answered Unsent, and its number never appears on the wire: numbers grow, with gaps). Another
// journal or epoch, or one that names less than it did or calls itself suspect: they are in doubt;
// they are given up here and the engine looks them up by magic. Either is on record in the segment
// before Welcome leaves.
#pragma once

#include "core/admin.h"
#include "gateway/egress_gate.h"
#include "gateway/holding_sink.h"
#include "gateway/session_kill.h"
#include "gateway/session_peer.h"
#include "gateway/session_queue.h"
#include "gateway/session_reports.h"
#include "gateway/session_symbols.h"

#include <array>
#include <bitset>
#include <functional>
#include <string>

namespace millrace {

/// What the configuration says of an account that only its broker knows for sure.
struct AccountFacts {
    enum class Kind : std::uint8_t { Demo, Contest, Real, Any };  // ACCOUNT_TRADE_MODE's numbers

    Text<8> currency{};          // empty = not compared
    std::uint32_t leverage = 0;  // 0 = not compared
    Kind kind = Kind::Any;
};

/// What the host knows of a terminal's account; looked up by login at each Hello.
struct TerminalAccount {
    static constexpr std::size_t kKeyBytesMax = 64;

    AccountId account{kNoId};
    std::array<std::byte, kKeyBytesMax> key{};
    std::size_t key_bytes = 0;  // 1 .. kKeyBytesMax
    GateLevel gate = GateLevel::Disk;
    MarginMode margin_mode = MarginMode::Hedging;
    Text<8> symbol_prefix;  // account's symbol = prefix + canonical name + suffix
    Text<8> symbol_suffix;
    AccountFacts facts;
};

/// Times of the bridge protocol; the defaults are the protocol's, tests shorten them.
struct SessionTimes {
    Nanos heartbeat_ns = seconds(1);
    Nanos silence_ns = seconds(3);    // without BUSY: link down
    Nanos busy_max_ns = seconds(30);  // BUSY extends silence to at most this
    Nanos handshake_ns = seconds(5);  // from accept to Hello
    Nanos closing_ns = millis(500);   // from Denied to close, at most
    /// With the journal down, an entry that stands before a way out is answered JournalDown after
    /// this; without one behind it, it may wait for the journal until its deadline.
    Nanos way_out_ns = millis(250);
    /// Of an account that cannot be reached: five and ten attempts of three seconds each. It can be
    /// again once it has been so without a break for the last of these.
    Nanos away_notice_ns = seconds(15);
    Nanos away_alert_ns = seconds(30);
    Nanos refused_ns = seconds(3);     // trading not allowed: for so long before it is told
    Nanos kill_waits_ns = seconds(2);  // nobody can carry out a kill: the same
    Nanos stable_ns = seconds(5);
    /// Of an account whose terminal tells what it holds: for so long no whole list before a note.
    Nanos no_list_ns = seconds(600);
};

/// Why an account's terminal is refused until a person has seen to it.
enum class Rejection : std::uint8_t { OtherDirectory, WrongKey, OtherMarginMode };

/// Counted in memory since the stage was made.
struct BrokerStats {
    std::uint64_t drained = 0;  // commands taken from `orders`
    std::uint64_t repeats = 0;  // of those, taken or answered by a predecessor already
    std::uint64_t queue_full = 0;
    std::uint64_t sent = 0;
    std::uint64_t resent = 0;    // proven not received, queued again
    std::uint64_t in_doubt = 0;  // given up to the engine's look-up
    std::uint64_t expired = 0;
    std::uint64_t killed = 0;
    std::uint64_t journal_down = 0;
    std::uint64_t other_tag = 0;  // than terminals were told; never sent
    std::uint64_t barred = 0;     // entries of an account that is another kind than configured
    std::uint64_t events = 0;
    std::uint64_t event_repeats = 0;
    std::uint64_t ticks = 0;
    std::uint64_t ticks_dropped = 0;  // unknown symbol or no price
    std::uint64_t denied = 0;
    std::uint64_t replaced = 0;          // by a second connection
    std::uint64_t stalls = 0;            // duty cycles cut short because `reports` was full
    std::uint64_t symbols = 0;           // frames about one
    std::uint64_t accounts = 0;          // frames about the account
    std::uint64_t facts_named = 0;       // accounts whose difference an alert has told
    std::uint64_t fifo_named = 0;        // accounts that a note has named for closing in order
    std::uint64_t differing_named = 0;   // symbols whose difference an alert has told
    std::uint64_t restricted_named = 0;  // notes of a symbol that may not be traded freely
    std::uint64_t stops_named = 0;       // accounts that an alert has named for missing stops
    std::uint64_t ticks_named = 0;       // the same for ticks that do not arrive
    std::uint64_t kills_named = 0;       // the same for kills that cannot be carried out
    std::uint64_t refused_named = 0;     // the same for accounts that may not trade
    std::uint64_t away_named = 0;  // accounts that an alert of their own told to be out of reach
    std::uint64_t unlisted_named = 0;  // accounts that a note has named for lists that stopped
    std::uint64_t holdings = 0;        // whole lists of what an account holds, handed on
    std::uint64_t holdings_lost = 0;   // lists of which something was missing, or had no room
};

/// Finds what is configured of a symbol by its canonical name; false if nothing is. Called in the
/// stage's thread. Must not block.
using SymbolLookup = std::function<bool(const Text<16>& name, SymbolSpec& found)>;

/// What all sessions share. Outlives them.
struct SessionContext {
    Segment& segment;
    ReportSink& reports;
    EgressGate& gate;
    KillBoard& kills;
    BrokerStats& stats;
    const SessionTimes& times;
    std::uint64_t epoch;
    std::uint64_t magic_tag;
    const SymbolLookup& find_symbol;
    HoldingSink& holdings;
};

/// Threads: the broker stage. Memory: none after attach().
class Session {
public:
    /// Commands on their way to the executor that its journal has not confirmed; more stay here,
    /// where a kill or a deadline still reaches them.
    static constexpr std::uint64_t kInFlightMax = 64;
    /// Reports that handling one frame may publish.
    static constexpr std::uint64_t kReportsPerFrame = 2;
    /// What a terminal is told whose account is stopped.
    static constexpr const char* kStoppedText =
        "the account is stopped: its queue here was damaged; stop and start the pipeline";

    /// What a terminal is told that has served another journal directory.
    static constexpr const char* kOtherDirectoryText =
        "this terminal has served another journal directory; the host's log says how to go on";
    static_assert(std::char_traits<char>::length(kOtherDirectoryText) <
                  sizeof bridge::Denied::reason);
    /// What the operator is told then: one entry of the error log for all accounts.
    static constexpr const char* kOtherDirectoryAlert =
        "ALERT a terminal has served another journal directory (account list: AUTH_REJECTED). Use "
        "that; or close all, set a new magic_tag, move its intent journal away";
    static_assert(std::char_traits<char>::length(kOtherDirectoryAlert) < sizeof ErrorEntry::text);
    /// What the operator is told of a terminal whose HELLO is not signed by its account's key.
    static constexpr const char* kWrongKeyAlert =
        "ALERT a terminal's key is not the one configured (account list: AUTH_REJECTED): nothing "
        "is traded there. Give both the same key";
    static_assert(std::char_traits<char>::length(kWrongKeyAlert) < sizeof ErrorEntry::text);
    /// What it is told when its account nets and ours does not, or the other way: closes by ticket,
    /// limits and volumes would all be counted wrongly.
    static constexpr const char* kOtherMarginModeText =
        "margin mode: this account is not what margin_mode of the host's configuration says";
    static_assert(std::char_traits<char>::length(kOtherMarginModeText) <
                  sizeof bridge::Denied::reason);
    static constexpr const char* kOtherMarginModeAlert =
        "ALERT a terminal's account nets, or hedges, other than accounts[].margin_mode says "
        "(account list: AUTH_REJECTED): nothing is traded there. Mend the file";
    static_assert(std::char_traits<char>::length(kOtherMarginModeAlert) < sizeof ErrorEntry::text);
    /// Accounts that are named in an alert when they cannot be reached. One entry of the error log
    /// tells of all others: a thousand links that break together must not fill it.
    static constexpr std::uint64_t kAwayNamedMax = 8;
    /// The same for accounts with a position without its stops, and for those whose ticks do not
    /// arrive.
    static constexpr std::uint64_t kComplaintsNamedMax = 8;
    /// The same for symbols of which a broker says something else than the configuration.
    static constexpr std::uint64_t kDifferingNamedMax = 8;
    /// The same for symbols that a broker restricts, maybe on a hundred accounts at once.
    static constexpr std::uint64_t kRestrictedNamedMax = 8;
    /// The same for accounts that are of another kind than the configuration has them.
    static constexpr std::uint64_t kFactsNamedMax = 8;
    /// What a terminal is told whose account was given another login, or was removed.
    static constexpr const char* kOtherLoginText =
        "the engine knows this account by another login, or not any more";

    Session(SessionContext& context, AccountId account) noexcept
        : context_{&context}, account_{account} {}

    /// Continues where the last broker stage was killed. A queue that contradicts itself stops the
    /// account, see is_stopped().
    void attach();

    /// True if the account's queue in the segment was damaged. Nothing in it is believed any more:
    /// what it held is in doubt at the engine (SessionDown), nothing is taken, no terminal is let
    /// in, until the segment is a new one. All others trade on.
    [[nodiscard]] bool is_stopped() const noexcept { return stopped_; }
    /// Looks at the queue's head and oldest command. @return true if it stopped the account now.
    [[nodiscard]] bool check_front() noexcept;
    /// Looks at the whole queue, and stops the account if it is damaged.
    void check_queue() noexcept;

    /// True if the command was put into the queue before: the stage was killed before it released
    /// the slot in `orders`.
    [[nodiscard]] bool has_taken(OutputId id) noexcept;
    /// Puts a command taken from `orders` into the queue. @return false if it is full (for entries,
    /// seven eighths of it), or stopped.
    [[nodiscard]] bool enqueue(const OrderCommand& command, Nanos now) noexcept;
    /// Does what can be done now: answers what may not leave any more, sends what may.
    /// Needs no room in `reports`: without it, it stops where an answer is due.
    /// @return items done.
    int service(Nanos now) noexcept;

    /// A kill has been put on the board: tell the terminal at once, and give up entries that wait.
    void kill(const KillCommand& kill) noexcept;
    /// True once no entry that the last kill() is about waits any more.
    [[nodiscard]] bool kill_swept() const noexcept { return sweep_to_ == 0; }

    /// What speaks against a session with this terminal; nullptr if nothing does.
    [[nodiscard]] const char* objection_to(const bridge::Hello& hello) const noexcept;
    /// A terminal of this account was refused: the link is AuthRejected until one is let in, and
    /// the operator is told; unless he knows, or the right one is there.
    void reject_login(Rejection why) noexcept;
    /// The terminal has proven who it is, and there is no objection. Reports SessionUp, sends
    /// Welcome and kills in force.
    void link_up(Peer& peer, const bridge::Hello& hello, const TerminalAccount& terminal,
                 Nanos now) noexcept;
    /// The peer is gone. The caller closes it.
    void link_down(Nanos now) noexcept;
    /// Handles one frame. The caller has made sure of kReportsPerFrame slots in `reports`.
    /// @return BadFrame and what is wrong with it: the terminal is to be denied.
    [[nodiscard]] Status on_frame(const wire::Frame& frame, Nanos now) noexcept;
    /// The socket took bytes: what waited in the buffer may be written now.
    void on_writable() noexcept;

    /// Heartbeats, event acknowledgements. @return false if the terminal has been silent too long.
    [[nodiscard]] bool keep_alive(Nanos now) noexcept;
    /// Sends the acknowledgement of events that have become durable. @return frames sent.
    int acknowledge_events() noexcept;
    /// Several times a second: tells the operator when nobody can trade on the account for long,
    /// because it has no terminal, or that has no connection to its trade server.
    void watch(Nanos now) noexcept;
    /// We could not read for a while: silence until now was ours.
    void forgive_silence(Nanos now) noexcept;

    /// False if the engine knows the account by another login than its terminal's: what is sent
    /// would be dealt in the books of somebody else. The terminal is to be denied.
    [[nodiscard]] bool has_its_login() const noexcept {
        // Relaxed: an order that was made for the new login came by `orders`, whose acquire pairs
        // with what the engine stored before it.
        return entry().login.load(std::memory_order_relaxed) == login_;
    }
    [[nodiscard]] Peer* peer() const noexcept { return peer_; }
    [[nodiscard]] AccountId account() const noexcept { return account_; }
    /// True if service() may have something to do later without being told: commands wait, or a
    /// report does.
    [[nodiscard]] bool has_waiting() const noexcept {
        return next_ <= queue_.last() || down_due_ || kill_due_ || sweep_to_ != 0;
    }
    [[nodiscard]] bool has_unacknowledged_events() const noexcept {
        return peer_ != nullptr && last_event_ > acked_event_;
    }
    /// The command `id`, if it waits here, was answered by a predecessor: it must not leave.
    void mark_answered(OutputId id) noexcept;

private:
    [[nodiscard]] SessionEntry& entry() const noexcept {
        return context_->segment.session(account_);
    }
    [[nodiscard]] bool may_send() const noexcept;
    [[nodiscard]] Reason reason_to_refuse(std::uint64_t n, Nanos now) const noexcept;
    [[nodiscard]] bool answer(std::uint64_t n, Reason reason, Nanos now) noexcept;
    int sweep(Nanos now) noexcept;
    int send_ready(Nanos now) noexcept;
    [[nodiscard]] bool yields_to_way_out(Nanos now) noexcept;
    void pass_over(std::uint64_t n) noexcept;
    void send(std::uint64_t n) noexcept;
    void note_written(std::uint64_t n) noexcept;
    int send_kills() noexcept;
    [[nodiscard]] bridge::Kill kill_frame(std::size_t index) const noexcept;
    void release_over() noexcept;
    void recount() noexcept;
    void count_answer(Reason reason, Magic magic) noexcept;
    void stop(const char* why) noexcept;
    [[nodiscard]] bool stop_if(const char* defect) noexcept;
    [[nodiscard]] const char* defect_of_next() const noexcept;

    [[nodiscard]] std::uint64_t last_journal() const noexcept;
    [[nodiscard]] bool is_another(const bridge::Hello& hello) const noexcept;
    [[nodiscard]] std::uint64_t told_events(std::uint64_t journal_id) const noexcept;
    [[nodiscard]] bool is_rolled_back(const bridge::Hello& hello) const noexcept;
    [[nodiscard]] bool is_sound(const bridge::Hello& hello) const noexcept;
    void name_commands(std::uint64_t n) noexcept;
    void settle(const bridge::Hello& hello, bool sound) noexcept;
    [[nodiscard]] std::uint64_t event_floor(const bridge::Hello& hello,
                                            bool rolled_back) const noexcept;
    void report_link(ReportType type, Nanos now) noexcept;
    void report_down(Nanos now) noexcept;
    void set_link(LinkState state) noexcept;
    void send_welcome(const bridge::Hello& hello, const TerminalAccount& terminal) noexcept;
    [[nodiscard]] Status on_rx_ack(const wire::Frame& frame) noexcept;
    [[nodiscard]] Status on_event(const wire::Frame& frame, Nanos now) noexcept;
    [[nodiscard]] Status on_busy(const wire::Frame& frame, Nanos now) noexcept;
    [[nodiscard]] Status on_tick(const wire::Frame& frame, Nanos now) noexcept;
    [[nodiscard]] Status on_sync_done(Nanos now) noexcept;
    [[nodiscard]] Status on_symbol(const wire::Frame& frame) noexcept;
    [[nodiscard]] Status on_holding(const wire::Frame& frame, Nanos now) noexcept;
    void drop_list(const char* defect) noexcept;
    [[nodiscard]] Status on_holdings_end(const wire::Frame& frame, Nanos now) noexcept;
    void compare(SymbolId id, const bridge::Symbol& told, const SymbolSpec& configured) noexcept;
    [[nodiscard]] Status on_account(const wire::Frame& frame) noexcept;
    void miss_facts() noexcept;
    void differ(unsigned fact, bool differs, const char* text, const char* further) noexcept;
    /// Its broker says something of the account that makes entries wrong.
    [[nodiscard]] bool entries_barred() const noexcept {
        return (differing_facts_ & kBarring) != 0;
    }
    void measure_answer(const Report& report) noexcept;
    void tell_away() noexcept;
    void heed_complaints(std::uint8_t permissions) noexcept;
    void watch_permission(Nanos now) noexcept;
    void watch_kill(bool gone) noexcept;
    void watch_lists(Nanos now) noexcept;

    SessionContext* context_;
    AccountId account_;
    SessionQueue queue_;
    bool stopped_ = false;

    // Queue. `next_` is the first number that is neither Claimed nor over.
    std::uint64_t next_ = 1;
    std::uint64_t way_outs_ = 0;  // Queued commands that are no entries
    std::uint64_t sweep_to_ = 0;  // entries up to here fell to a kill; 0 = none to look for
    KillCommand sweep_kill_;
    Nanos earliest_deadline_;  // lower bound over Queued commands; 0 = none has one
    Nanos blocked_since_;      // head waits for a journal that is down; 0 = it does not

    // Link.
    Peer* peer_ = nullptr;
    LinkState link_ = LinkState::Down;
    unsigned rejections_told_ = 0;  // a bit for each Rejection, while link_ is AuthRejected
    GateLevel gate_level_ = GateLevel::Disk;
    SymbolNames symbols_;
    std::bitset<kNamesPerKind> differing_;   // symbols of which the broker says something else
    std::bitset<kNamesPerKind> restricted_;  // noted as such: not to be traded freely
    AccountFacts expected_;
    unsigned differing_facts_ = 0;  // bits below: what the broker says otherwise
    bool has_facts_ = false;        // the terminal has told them in this session
    static constexpr unsigned kCurrency = 1;
    static constexpr unsigned kKind = 2;
    static constexpr unsigned kLeverage = 4;
    static constexpr unsigned kFifo = 8;
    static constexpr unsigned kBarring = kCurrency | kKind;
    std::uint64_t login_ = 0;  // of the terminal in session
    std::uint64_t generation_ = 0;
    std::uint64_t journal_id_ = 0;
    std::uint64_t journal_tail_ = 0;
    std::uint64_t unwritten_ = 0;  // claimed, and partly still in the write buffer; 0 = none
    Nanos heard_;
    Nanos busy_until_;
    Nanos beat_at_;
    bool takes_resolve_ = false;   // bridge::kHelloTakesResolve of the executor in session
    bool server_away_ = false;     // the terminal has no connection to its trade server
    std::uint8_t complaints_ = 0;  // of the terminal, as bits of Event.permissions
    bool has_told_ = false;        // it has sent AccountInfo since it is connected
    bool refusal_told_ = false;
    bool kill_told_ = false;  // that its kill waits for somebody who can carry it out
    Nanos gone_since_;        // nobody reaches its broker; 0 = somebody does
    Nanos refused_since_;     // trading is not allowed there; 0 = it is, or nobody knows
    Nanos away_since_;        // 0 = it can be reached
    Nanos reached_since_;     // while away_since_ is not 0: it can, from here on; 0 = it cannot
    bool away_noted_ = false;
    bool away_alerted_ = false;
    bool away_named_ = false;    // one of kAwayNamedMax
    bool down_due_ = false;      // SessionDown waits for room in `reports`
    bool kill_due_ = false;      // Kill frames wait for room in the write buffer
    std::size_t kill_next_ = 0;  // the first of them

    // Events.
    std::uint64_t last_event_ = 0;  // received on this connection
    std::uint64_t last_event_report_ = 0;
    std::uint64_t acked_event_ = 0;
    struct {
        std::uint64_t event = 0;   // 0 = none
        std::uint64_t report = 0;  // its number in `reports`
        std::uint64_t seq = 0;     // journal record to wait for; 0 = not yet applied
    } candidate_;

    // The list of what the account holds, as far as it has come.
    struct {
        std::uint32_t rows = 0;
        std::uint32_t crc = 0;  // state of a CRC-32C over them
        bool lost = false;      // a row was missing, or found no room
    } holdings_;
    bool holdings_defect_told_ = false;
    bool tells_holdings_ = false;  // its terminal does, or is one that should
    bool no_list_told_ = false;
    Nanos listed_;  // whole list, or UP without one; 0 = not UP

    // Write times of the last commands, for the BrokerAnswer histogram.
    struct Written {
        Magic magic;
        Nanos at;
    };
    static constexpr std::size_t kWrittenMax = 64;
    std::array<Written, kWrittenMax> written_{};
};

}  // namespace millrace
