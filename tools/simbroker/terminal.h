// One account's terminal: a TCP client of the bridge protocol with an intent journal, as the MT5
// Expert Advisor will be. It speaks to the broker stage on one side and to the trade server on
// the other, and is where repeats are kept away from the server.
#pragma once

#include "core/assert.h"
#include "gateway/frame.h"
#include "tools/simbroker/account_link.h"
#include "tools/simbroker/event_loop.h"
#include "tools/simbroker/faults.h"
#include "tools/simbroker/intent_journal.h"
#include "tools/simbroker/trade_server.h"

#include <netinet/in.h>

#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

namespace millrace::sim {

struct TerminalOptions {
    std::uint64_t login = 0;
    std::vector<std::byte> key;  // of the HMAC handshake
    MarginMode margin_mode{};
    std::string symbol_prefix;  // around the broker's canonical names
    std::string symbol_suffix;
    std::string journal_path;               // empty = memory alone
    sockaddr_in server{};                   // broker stage
    std::uint32_t absent_after_ms = 2'000;  // an unanswered request with no trace in the account's
                                            // history counts as absent after this time
    std::uint32_t account_info_ms = 1'000;  // at most one AccountInfo in this time
    std::uint32_t holdings_ms = 60'000;     // what the account holds is told this often; 0 = never
    bool dedupe = true;                     // false: repeats are executed
    bool quiet = true;                      // no log line per reconnect
};

/// Threads: one (the loop's).
class Terminal : public AccountLink {
public:
    Terminal(EventLoop& loop, TradeServer& server, Faults& faults, TerminalOptions options);
    ~Terminal() override;

    /// Opens the journal, settles what a death left open, then connects (and reconnects for ever).
    /// @param missed the unsolicited ones tell it what it has missed.
    [[nodiscard]] Status start(const std::vector<BookRecord>& missed) override;

    /// Something happened to the account in the server's books.
    void on_record(const BookRecord& record) override;
    /// Sends a quote, canonical name; dropped if the peer does not keep up.
    void send_tick(const Text<16>& symbol, Price bid, Price ask, Nanos time) override;

    /// Announces BUSY (or not: then it is just gone), then is deaf and dumb: reads nothing, sends
    /// nothing, not even heartbeats.
    void busy(std::uint32_t ms, bool announced) override;
    /// Closes the connection as a network failure would; comes back by itself.
    void drop_connection(const char* why) override;
    /// Throws the journal away and begins a new one with a new id.
    [[nodiscard]] Status lose_journal() override;
    /// Sends what can be sent at once and closes: for an orderly end.
    void finish() override;

    /// As TerminalOptions::holdings_ms, from now on.
    void tell_holdings_each(std::uint32_t ms) noexcept override { options_.holdings_ms = ms; }
    [[nodiscard]] bool is_up() const noexcept override { return state_ == State::Up && !busy_; }
    [[nodiscard]] bool may_carry_quotes() const noexcept override { return true; }
    [[nodiscard]] std::uint64_t login() const noexcept override { return options_.login; }
    [[nodiscard]] const LinkCounters& counters() const noexcept override { return counters_; }
    [[nodiscard]] std::size_t unacknowledged() const override {
        return journal_.unacknowledged().size();
    }

private:
    enum class State : std::uint8_t { Waiting, Connecting, Challenged, Greeting, Up };
    struct Incoming {
        std::uint64_t seq = 0;
        bridge::Command command{};
    };

    // terminal_session.cpp: connection, frames, resume; terminal_io.cpp: what it sends.
    void connect();
    void retry_later();
    void on_socket(std::uint32_t events);
    void on_connected();
    [[nodiscard]] bool read_some();
    void handle(const wire::Frame& frame);
    void on_challenge(const bridge::Challenge& challenge);
    /// Does it answer our nonce with our key, and can its numbers be?
    [[nodiscard]] bool is_genuine(const bridge::Welcome& welcome) const;
    void on_welcome(const bridge::Welcome& welcome);
    void on_heartbeat_due();
    void send_events();
    void flush();
    template <class Body>
    void send(bridge::FrameType type, std::uint64_t seq, const Body& body) {
        const std::size_t at = out_.size();
        out_.resize(at + wire::kFrameBytes<Body>);
        const std::size_t bytes =
            wire::encode(std::span{out_}.subspan(at), type, bridge::kVersion, seq, body);
        ASSERT(bytes == wire::kFrameBytes<Body>);
    }
    void send_bodyless(bridge::FrameType type);
    void offer_account_info();
    void offer_holdings();

    // terminal_commands.cpp: what a command or kill does.
    void run_batch();
    void on_command(const Incoming& incoming);
    void note_repeat(const Incoming& incoming);
    void answer_query(const Incoming& incoming);
    void submit(std::uint64_t magic);
    void execute(const bridge::Command& command, Nanos answer_after);
    void conclude(std::uint64_t magic, const TradeResult& result, std::uint64_t book_number);
    void answer(std::uint64_t magic, const bridge::Event& event, std::uint64_t book_number);
    void on_kill(const bridge::Kill& kill);
    void carry_out_kills();
    [[nodiscard]] bridge::Event refused(const bridge::Command& command, Reason reason,
                                        std::uint32_t code) const;
    [[nodiscard]] bridge::Event killed(const bridge::Command& command) const;
    [[nodiscard]] bool is_stopped(const bridge::Command& command) const;
    [[nodiscard]] bool is_ours(std::uint64_t magic) const;
    void settle_after_restart();
    void raise_floor(const bridge::Command& command);
    [[nodiscard]] bool settle_resent(const bridge::Command& command);
    void add_event(const bridge::Event& event, std::uint64_t answers, std::uint64_t book_number);

    // terminal_events.cpp: what the frames say.
    [[nodiscard]] TradeRequest request_of(const bridge::Command& command) const;
    [[nodiscard]] bridge::Event outcome_of(const bridge::Command& command,
                                           const TradeResult& result) const;
    [[nodiscard]] bridge::Event unsent_of(const bridge::Command& command, OrdStatus status,
                                          Reason reason, std::uint32_t code) const;
    [[nodiscard]] bridge::Event found_event(std::uint64_t magic, const OrderSummary& found) const;
    [[nodiscard]] bridge::Event query_event(std::uint64_t magic) const;
    [[nodiscard]] bridge::Event exec_event(const BookRecord& record) const;
    [[nodiscard]] Text<16> canonical(const char (&name)[16]) const;
    [[nodiscard]] Text<16> account_name(const Text<16>& canonical_name) const;

    void check(const Status& status) const;
    [[nodiscard]] std::function<void()> guarded(std::function<void()> callback);
    void log(const char* what) const;

    EventLoop& loop_;
    TradeServer& server_;
    Faults& faults_;
    TerminalOptions options_;
    LinkCounters counters_;
    IntentJournal journal_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

    State state_ = State::Waiting;
    int fd_ = -1;
    wire::BasicFrameReader<16 * 1024> reader_{bridge::kVersion};
    std::vector<std::byte> out_;
    std::size_t out_begin_ = 0;
    bool want_write_ = false;
    bool rx_ack_due_ = false;
    bool sync_done_due_ = false;
    bool busy_ = false;
    bool muted_ = false;                           // a dropped event: nothing after it may arrive
    std::unordered_set<std::uint64_t> in_flight_;  // magics at the trade server right now
    std::vector<Incoming> batch_;
    std::uint64_t sent_event_seq_ = 0;  // on this connection
    std::uint64_t info_event_seq_ = 0;  // last AccountInfo
    AccountMoney info_money_;
    bool info_allowed_ = true;
    Nanos info_time_;
    Nanos holdings_time_;  // 0 = not in this session
    Nanos last_heard_;
    wire::Nonce nonce_{};  // of the last HELLO
    std::uint32_t retry_ms_ = 0;
    EventLoop::TimerId heartbeat_timer_ = 0;
    bool killing_ = false;
};

}  // namespace millrace::sim
