// An account that is traded over FIX 4.4: the venue's end of its session. Behind it are the same
// trade server, books and faults as behind a terminal.
//
// It is written against the FIX 4.4 specification and shares no session code with millrace-fix,
// which is QuickFIX's: what one side gets wrong the other does not get wrong in the same way.
//
//  1. A message counts as received after what it caused is in the books: a death before makes the
//     client fill the gap.
//  2. What is said about orders is kept before it is sent, and said again when it is asked for;
//     what a death kept from being said is told only to those who ask for the order's status.
//  3. Orders are executed as often as they are sent, unless the account refuses duplicates: a
//     double must be visible in the books.
#pragma once

#include "gateway/fix/outgoing.h"
#include "tools/simbroker/account_link.h"
#include "tools/simbroker/event_loop.h"
#include "tools/simbroker/faults.h"
#include "tools/simbroker/fix/fix_connection.h"
#include "tools/simbroker/fix/fix_orders.h"
#include "tools/simbroker/fix/fix_store.h"
#include "tools/simbroker/trade_server.h"

#include <map>
#include <string>
#include <unordered_set>
#include <vector>

namespace millrace::sim {

struct FixAccount {
    std::string sender_comp_id;  // the venue's; empty = no FIX account
    std::string target_comp_id;  // the client's
    std::string username;        // 553 and 554 of its Logon; empty = not looked at
    std::string password;
    bool refuses_duplicates = false;  // of a ClOrdID; else each is executed
};

struct FixSessionOptions {
    std::uint64_t login = 0;
    FixAccount fix;
    std::map<Text<16>, fix::Instrument> instruments;  // by symbol; venue_symbol is the same
    std::string store_path;                           // empty = memory alone
    bool quiet = true;
};

/// Threads: one (the loop's).
class FixSession : public AccountLink {
public:
    FixSession(EventLoop& loop, TradeServer& server, Faults& faults, FixSessionOptions options);
    ~FixSession() override;

    /// @param missed all records of the account.
    [[nodiscard]] Status start(const std::vector<BookRecord>& missed) override;
    void on_record(const BookRecord& record) override;
    void send_tick(const Text<16>& symbol, Price bid, Price ask, Nanos time) override;
    void busy(std::uint32_t ms, bool announced) override;
    void drop_connection(const char* why) override;
    /// Its numbers and what it said about orders: the next message has number 1.
    [[nodiscard]] Status lose_journal() override;
    void finish() override;
    [[nodiscard]] bool is_up() const noexcept override { return logged_on_ && !busy_; }
    [[nodiscard]] bool may_carry_quotes() const noexcept override { return false; }
    [[nodiscard]] std::uint64_t login() const noexcept override { return options_.login; }
    [[nodiscard]] const LinkCounters& counters() const noexcept override { return counters_; }
    [[nodiscard]] std::size_t unacknowledged() const override { return 0; }

    /// Has this Logon our CompIDs?
    [[nodiscard]] bool is_for(const fix::Message& logon) const;
    /// Takes a connection whose first message is this Logon; the one of before is closed.
    void log_on(std::unique_ptr<FixConnection> connection, const fix::Message& logon);

private:
    /// A message to be sent: its type and its fields.
    struct Said {
        std::string type;
        std::string fields;
    };
    /// What a message about an order asks for.
    struct Asked {
        TradeRequest request;
        std::string symbol;     // as the client named it
        std::string name;       // ClOrdID
        std::string of;         // OrigClOrdID
        char type = '\0';       // 35
        bool one_shot = false;  // immediate or cancel, at `limit` or better
        Price limit;
    };
    struct Subscription {
        std::string id;    // MDReqID
        bool full = true;  // each time both sides (W), else what changed (X)
    };

    // fix_session.cpp: logon, numbers, what was missed.
    void on_message(const fix::Message& message);
    /// @return false if it is not to be dealt with: out of order, repeated, of somebody else.
    [[nodiscard]] bool in_order(const fix::Message& message, std::uint32_t number);
    void dispatch(const fix::Message& message);
    void count_received();
    void too_low(std::uint32_t number);
    void on_resend_request(const fix::Message& message);
    void on_sequence_reset(const fix::Message& message);
    void fill_gap(std::uint32_t from, std::uint32_t to);
    void ask_for_missing();
    void log_out(const std::string& why);
    void beat();
    void say(const Said& said);
    void say(const std::string& type, const std::string& fields) { say(Said{type, fields}); }
    void transmit(const Said& said, std::uint32_t number, const std::string& time,
                  const std::string& header = "");
    void check(const Status& status) const;
    void log(const char* what) const;
    [[nodiscard]] std::function<void()> guarded(std::function<void()> callback);

    // fix_session_orders.cpp: what is asked for.
    void on_order(const fix::Message& message);
    void on_change(const fix::Message& message);
    void on_status(const fix::Message& message);
    void on_mass_status(const fix::Message& message);
    /// @return false and a reject is said: a field that must be there is not.
    [[nodiscard]] bool requires_tags(const fix::Message& message, std::initializer_list<int> tags);
    [[nodiscard]] std::string read_order(const fix::Message& message, Asked& asked, int& reason);
    [[nodiscard]] CommandType command_of(const Asked& asked) const;
    void take(const Asked& asked);
    void execute(const Asked& asked, Nanos answer_after);
    [[nodiscard]] TradeResult at_server(const Asked& asked, CommandType command,
                                        std::uint32_t& unsaid);
    void answer(std::vector<Said> said, CommandType command);

    // fix_session_reports.cpp: what is said.
    [[nodiscard]] Said report(const FixOrder& order, const BookRecord& record) const;
    [[nodiscard]] Said status_of(const FixOrder& order, const std::string& more) const;
    [[nodiscard]] std::string state_of(const FixOrder& order) const;
    [[nodiscard]] Said refusal(const Asked& asked, int reason, const std::string& text) const;
    [[nodiscard]] Said stranger(const BookRecord& record) const;
    [[nodiscard]] std::string quantity(Lots lots, const Text<16>& symbol) const;
    void reject(const fix::Message& message, int tag);
    void reject_business(const fix::Message& message, int reason, const std::string& text);
    void on_market_data(const fix::Message& message);
    void snapshot(const std::string& id, const Text<16>& symbol);

    EventLoop& loop_;
    TradeServer& server_;
    Faults& faults_;
    FixSessionOptions options_;
    LinkCounters counters_;
    FixStore store_;
    FixOrders orders_;
    std::unique_ptr<FixConnection> connection_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    bool logged_on_ = false;
    bool busy_ = false;
    bool test_sent_ = false;
    std::uint32_t received_ = 0;    // is being dealt with, and does not count yet
    std::uint32_t asked_from_ = 0;  // the gap that was asked for
    Nanos heartbeat_ = seconds(30);
    Nanos last_sent_;
    Nanos last_heard_;
    // While the server executes: what it does is told when all of it is done.
    bool holding_ = false;
    Magic replaced_;  // the name that the order of the record had before it
    std::vector<Said> held_;
    std::unordered_set<std::uint64_t> in_flight_;  // on their way to the server, by ClOrdID
    std::map<Text<16>, Subscription> subscriptions_;
};

}  // namespace millrace::sim
