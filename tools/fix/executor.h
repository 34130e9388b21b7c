// The executor of one FIX account: an executor of the bridge protocol towards the broker stage, as
// a terminal is, and a FIX initiator towards the venue. It keeps the promises of BRIDGE.md with
// three files: the intent journal, the order file and the sequence numbers. It may be killed
// anywhere.
//
// An order: journalled as received, put into the book and its file, journalled as sending, all on
// disk; then it leaves. A death after that leaves it in doubt: the engine is told 10031, and the
// venue is asked for it by its ClOrdID at each logon and then again and again.
//
// Orders of the executor's own, which the kill switch needs, are journalled and looked up like the
// engine's; their intents begin at sim::kOwnIntents, where no engine gets to.
#pragma once

#include "gateway/fix/collateral.h"
#include "gateway/fix/market_data.h"
#include "gateway/fix/session/venue_session.h"
#include "tools/fix/bridge_link.h"
#include "tools/fix/order_file.h"

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace millrace::fix {

/// Return code of what was not sent because nobody is logged on: definitely not done, to be tried
/// again inside the ttl (class Backoff, no rate limit implied).
inline constexpr std::uint32_t kLoggedOff = 10029;

/// True if it can move a position by itself: not of a cancel, a replace, a look-up.
[[nodiscard]] inline bool is_order(const bridge::Command& command) noexcept {
    const auto type = static_cast<CommandType>(command.type);
    return type == CommandType::Open || type == CommandType::Close;
}

struct ExecutorOptions {
    LinkOptions link;
    SessionSettings session;
    Profile profile;
    std::string account;                                       // Account(1); empty = not sent
    std::string folder;                                        // of the files; exists
    std::vector<std::pair<std::string, std::string>> symbols;  // the account's name, the venue's
    std::vector<Instrument> instruments;  // views into `symbols`, in the same order
    bool quotes = false;                  // subscribes to market data
    std::uint32_t collateral_s = 0;       // between two inquiries for equity; 0 = none is asked for
    std::uint32_t absent_after_ms = 60'000;
    // Whether "no such order" proves that an order was never executed. Many venues' status request
    // knows working orders only: an order that was filled, and whose report was lost, is unknown to
    // it as well.
    bool denial_is_proof = false;
};

/// Threads: one (the loop's).
class Executor final : LinkOwner {
public:
    Executor(sim::EventLoop& loop, ExecutorOptions options);
    ~Executor() override;
    Executor(const Executor&) = delete;
    Executor& operator=(const Executor&) = delete;

    /// Opens the files, settles what a death left open, connects to both sides.
    /// @return what is wrong; empty = nothing. `held` = another process has this account's files.
    [[nodiscard]] std::string start(bool& held);
    /// Logs out and ends. What is on its way is in doubt, as after a death.
    void stop();

private:
    struct Doubt {
        Magic target;  // the order that the venue is asked about
        Nanos next_ask;
        Nanos last_no;        // when the venue last said that it does not know it
        unsigned noes = 0;    // how often, each a third of the settling time after the last
        bool denied = false;  // so often that it would be proof at a venue where that is one
        unsigned asked = 0;   // without an answer
    };

    // LinkOwner
    void on_session() override;
    void on_command(std::uint64_t seq, const bridge::Command& command, Nanos received) override;
    void on_kill(const bridge::Kill& kill) override;
    void check(const Status& status) const override;

    // executor.cpp: commands
    void make_book();
    void submit(const bridge::Command& command, Nanos received);
    [[nodiscard]] std::uint32_t put_into_book(const bridge::Command& command);
    [[nodiscard]] std::uint32_t body_of(const bridge::Command& command, Body& body) const;
    void answer(const bridge::Command& command, ReportType type, OrdStatus status, Reason reason,
                std::uint32_t retcode);
    void add_event(const bridge::Event& event, std::uint64_t answers);
    void sync();
    void save_touched();

    // executor_account.cpp: what the account may do and is worth
    void offer_account_info();
    void ask_collateral();
    void take_collateral_report(const Message& message);

    // executor_recovery.cpp: what may have left and was not answered
    void settle_after_restart();
    [[nodiscard]] bool vouches_for(Magic magic) const;
    [[nodiscard]] bool is_in_question(const bridge::Command& command) const;
    void raise_floor(const bridge::Command& command);
    void put_in_doubt(const bridge::Command& command);
    void look_up(const bridge::Command& command);
    void doubt(const bridge::Command& command);
    void answer_query(Magic magic);
    void venue_says_no(Magic magic);
    void on_unknown_at_venue(Magic magic);
    void on_unchanged_at_venue(Magic order);
    void ask(Magic magic);
    void ask_again();

    // executor_resolve.cpp: what a person has found out
    void resolve(const bridge::Command& finding);
    [[nodiscard]] bool is_believed(const bridge::Command& finding);

    // executor_venue.cpp: what the venue says
    void on_news();
    void on_venue_message(const std::string& raw);
    void on_logon();
    void on_passed_over();
    void on_logoff();
    void refresh();
    void on_event_of_book(const bridge::Event& event);
    void on_note(const Answer& answer);
    void take_quote(const Message& message);
    void tell_quote(const std::string& symbol);
    void on_tick();
    void subscribe();
    void send_unjournalled(const Body& body);
    void note(const char* text, Magic magic) const;

    // executor_kill.cpp
    [[nodiscard]] bool is_stopped(const bridge::Command& command) const;
    void carry_out_kills();
    void submit_own(bridge::Command command);
    [[nodiscard]] static bool is_own(Magic magic) { return magic.intent() >= sim::kOwnIntents; }
    [[nodiscard]] bridge::Event as_kill_event(const bridge::Event& event) const;
    void log(const std::string& text) const;

    sim::EventLoop& loop_;
    ExecutorOptions options_;
    sim::IntentJournal journal_;
    OrderFile orders_;
    std::unique_ptr<OrderBook> book_;
    std::uint64_t book_tag_ = 0;
    std::unique_ptr<BridgeLink> link_;
    std::unique_ptr<VenueSession> session_;
    std::map<std::uint64_t, Doubt> doubts_;     // what is looked up, by magic
    std::map<std::uint64_t, Nanos> in_flight_;  // left on this logon at, not answered
    std::deque<std::uint64_t> to_ask_;          // working orders to be refreshed after a logon
    std::set<std::uint64_t> touched_;           // orders that the order file has to be told about
    std::set<std::uint64_t> contested_;    // asked for since a person said that it does not work
    std::map<std::string, Quote> quotes_;  // by the account's symbol
    std::uint64_t last_own_ = 0;           // intent
    Nanos kill_due_;                       // when the kills in force are looked at again
    Nanos kill_open_since_;                // something of a kill is still there; 0 = nothing is
    std::uint64_t mass_status_ = 0;
    Nanos refresh_due_;  // requests may have been passed over; 0 = none
    bool venue_up_ = false;
    Nanos away_since_ = sim::EventLoop::now();  // if it is not
    bool told_away_ = false;
    bool told_up_ = false;  // as AccountInfo last said
    bool told_once_ = false;
    bool told_kill_waits_ = false;
    std::uint64_t told_seq_ = 0;    // event number of that AccountInfo
    Collateral collateral_;         // as the venue told it last
    bool collateral_news_ = false;  // not told on yet
    std::uint64_t inquiries_ = 0;   // made
    Nanos collateral_due_;          // the next one
    Nanos collateral_heard_;        // the last report, or when the wait for one began
    bool told_no_collateral_ = false;
    sim::EventLoop::TimerId timer_ = 0;
};

}  // namespace millrace::fix
