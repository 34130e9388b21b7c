#include "tools/simbroker/fix/fix_session.h"

#include <cstdio>
#include <cstdlib>

namespace millrace::sim {
namespace {

constexpr Nanos kBeat = millis(200);
constexpr std::int64_t kHeartbeatMax = 3'600;  // s

// Session tags; those about orders are in gateway/fix/message.h.
namespace tag {
constexpr int kBeginSeqNo = 7;
constexpr int kEndSeqNo = 16;
constexpr int kSenderCompId = 49;
constexpr int kTargetCompId = 56;
constexpr int kNewSeqNo = 36;
constexpr int kHeartBtInt = 108;
constexpr int kTestReqId = 112;
constexpr int kGapFillFlag = 123;
constexpr int kResetSeqNumFlag = 141;
constexpr int kUsername = 553;
constexpr int kPassword = 554;
}  // namespace tag

std::string field(int tag, std::string_view value) {
    return std::to_string(tag) + "=" + std::string{value} + fix::kSoh;
}
std::string field(int tag, std::int64_t value) {
    return field(tag, std::to_string(value));
}

std::string now_text() {
    return std::string{fix::utc_text(EventLoop::wall_now()).view()};
}

/// About orders: kept, and said again when it is asked for.
bool is_kept(const std::string& type) {
    return type == "8" || type == "9" || type == "j";
}

std::uint32_t number_at(const fix::Message& message, int tag) {
    const auto number = message.integer(tag);
    return number && *number > 0 && *number < UINT32_MAX ? static_cast<std::uint32_t>(*number) : 0;
}

}  // namespace

FixSession::FixSession(EventLoop& loop, TradeServer& server, Faults& faults,
                       FixSessionOptions options)
    : loop_{loop}, server_{server}, faults_{faults}, options_{std::move(options)} {}

FixSession::~FixSession() {
    *alive_ = false;
}

void FixSession::log(const char* what) const {
    if (!options_.quiet) {
        std::fprintf(stderr, "simbroker: FIX account %llu: %s\n",
                     static_cast<unsigned long long>(options_.login), what);
    }
}

void FixSession::check(const Status& status) const {
    if (!status) {
        // Without its numbers it would say one thing under two of them.
        std::fprintf(stderr, "simbroker: FIX store %s: %s (errno %d); free space or fix the path\n",
                     options_.store_path.c_str(), status.error().what, status.error().sys_errno);
        std::exit(1);
    }
}

std::function<void()> FixSession::guarded(std::function<void()> callback) {
    return [alive = alive_, callback = std::move(callback)] {
        if (*alive) {
            callback();
        }
    };
}

Status FixSession::start(const std::vector<BookRecord>& missed) {
    auto store = FixStore::open(options_.store_path);
    if (!store) {
        return store.error();
    }
    store_ = std::move(store).value();
    for (const BookRecord& record : missed) {
        if (record.login == options_.login) {
            orders_.apply(record);
        }
    }
    beat();
    return ok_status();
}

Status FixSession::lose_journal() {
    drop_connection("fault: its numbers and messages are lost");
    return store_.reset();
}

bool FixSession::is_for(const fix::Message& logon) const {
    return logon.text(tag::kSenderCompId) == options_.fix.target_comp_id &&
           logon.text(tag::kTargetCompId) == options_.fix.sender_comp_id;
}

void FixSession::log_on(std::unique_ptr<FixConnection> connection, const fix::Message& logon) {
    // A client that dials again has given up the connection of before, whatever we think of it.
    drop_connection("logged on anew");
    ++counters_.connects;
    connection_ = std::move(connection);
    connection_->set({[this](const fix::Message& m) { on_message(m); },
                      [this](const char* why) { drop_connection(why); }});
    last_heard_ = EventLoop::now();
    const FixAccount& account = options_.fix;
    if (!account.username.empty() && (logon.text(tag::kUsername) != account.username ||
                                      logon.text(tag::kPassword) != account.password)) {
        return log_out("invalid username or password");
    }
    const std::uint32_t number = number_at(logon, fix::tag::kMsgSeqNum);
    const auto beat_s = logon.integer(tag::kHeartBtInt);
    if (number == 0 || !beat_s || *beat_s < 1 || *beat_s > kHeartbeatMax) {
        return log_out("a Logon needs MsgSeqNum(34) and HeartBtInt(108) of 1 to 3600");
    }
    heartbeat_ = seconds(*beat_s);
    const bool reset = logon.character(tag::kResetSeqNumFlag) == 'Y';
    if (reset) {
        check(store_.reset());
    }
    if (number < store_.next_in()) {
        return too_low(number);
    }
    say("A", field(98, 0) + field(tag::kHeartBtInt, *beat_s) +
                 (reset ? field(tag::kResetSeqNumFlag, "Y") : ""));
    logged_on_ = true;
    ++counters_.sessions;
    if (number == store_.next_in()) {
        check(store_.set_in(number + 1));
    } else {
        ask_for_missing();
    }
}

void FixSession::drop_connection(const char* why) {
    if (connection_ != nullptr) {
        log(why);
    }
    logged_on_ = busy_ = test_sent_ = false;
    asked_from_ = 0;
    subscriptions_.clear();  // they end with their session
    connection_.reset();
}

void FixSession::finish() {
    if (logged_on_) {
        log_out("the venue closes");
    }
    *alive_ = false;
}

void FixSession::log_out(const std::string& why) {
    say("5", why.empty() ? "" : field(fix::tag::kText, why));
    drop_connection(why.empty() ? "logged out" : why.c_str());
}

void FixSession::too_low(std::uint32_t number) {
    log_out("MsgSeqNum too low, expecting " + std::to_string(store_.next_in()) + " but received " +
            std::to_string(number));
}

void FixSession::on_message(const fix::Message& message) {
    last_heard_ = EventLoop::now();
    test_sent_ = false;
    const std::uint32_t number = number_at(message, fix::tag::kMsgSeqNum);
    if (!is_for(message) || number == 0) {
        ++counters_.bad_frames;
        return log_out("a message without MsgSeqNum(34), or with other CompIDs");
    }
    if (message.type() == "A") {
        return log_out("a second Logon");
    }
    if (message.type() == "4") {
        return on_sequence_reset(message);
    }
    if (!in_order(message, number)) {
        return;
    }
    received_ = number;
    dispatch(message);
    count_received();
}

/// What it caused is in the books by now.
void FixSession::count_received() {
    if (received_ != 0 && received_ == store_.next_in()) {
        check(store_.set_in(received_ + 1));
    }
    received_ = 0;
}

bool FixSession::in_order(const fix::Message& message, std::uint32_t number) {
    const bool repeat = message.character(fix::tag::kPossDupFlag) == 'Y';
    if (number == store_.next_in()) {
        return true;
    }
    if (number < store_.next_in()) {
        if (repeat) {
            counters_.stale += 1;
        } else {
            too_low(number);
        }
        return false;
    }
    if (message.type() == "2") {
        on_resend_request(message);  // at once: both sides may be missing something
    }
    if (message.type() == "5") {
        log_out("");
        return false;
    }
    ask_for_missing();
    return false;
}

void FixSession::ask_for_missing() {
    if (asked_from_ == store_.next_in() || !logged_on_) {
        return;
    }
    asked_from_ = store_.next_in();
    say("2", field(tag::kBeginSeqNo, asked_from_) + field(tag::kEndSeqNo, 0));
}

void FixSession::dispatch(const fix::Message& message) {
    const std::string_view type = message.type();
    if (type == "0" || type == "3") {
        return;
    }
    if (type == "1") {
        return say("0", field(tag::kTestReqId, message.text(tag::kTestReqId)));
    }
    if (type == "2") {
        return on_resend_request(message);
    }
    if (type == "5") {
        return log_out("");
    }
    if (type == "D") {
        return on_order(message);
    }
    if (type == "F" || type == "G") {
        return on_change(message);
    }
    if (type == "H") {
        return on_status(message);
    }
    if (type == "AF") {
        return on_mass_status(message);
    }
    if (type == "V") {
        return on_market_data(message);
    }
    reject_business(message, 3, "a message type that is not offered here");
}

void FixSession::on_sequence_reset(const fix::Message& message) {
    const std::uint32_t number = number_at(message, fix::tag::kMsgSeqNum);
    const std::uint32_t next = number_at(message, tag::kNewSeqNo);
    const bool fills = message.character(tag::kGapFillFlag) == 'Y';
    if (fills && number > store_.next_in()) {
        return ask_for_missing();
    }
    if (next > store_.next_in()) {
        check(store_.set_in(next));
    }
}

void FixSession::on_resend_request(const fix::Message& message) {
    const std::uint32_t from = number_at(message, tag::kBeginSeqNo);
    const std::uint32_t end = number_at(message, tag::kEndSeqNo);
    const std::uint32_t last = end == 0 || end >= store_.next_out() ? store_.next_out() - 1 : end;
    std::uint32_t after = from;
    for (const FixSent& sent : store_.sent()) {
        if (sent.number >= from && sent.number <= last) {
            fill_gap(after, sent.number);
            transmit({sent.type, sent.fields}, sent.number, now_text(),
                     field(fix::tag::kPossDupFlag, "Y") + field(122, sent.time));
            after = sent.number + 1;
        }
    }
    fill_gap(after, last + 1);
}

void FixSession::fill_gap(std::uint32_t from, std::uint32_t to) {
    if (from != 0 && from < to) {
        transmit({"4", field(tag::kGapFillFlag, "Y") + field(tag::kNewSeqNo, to)}, from, now_text(),
                 field(fix::tag::kPossDupFlag, "Y") + field(122, now_text()));
    }
}

void FixSession::say(const Said& said) {
    const std::uint32_t number = store_.next_out();
    const std::string time = now_text();
    if (!is_kept(said.type)) {
        check(store_.count_out());
        return transmit(said, number, time);
    }
    check(store_.add({number, said.type, time, said.fields}));
    if (faults_.strike(FaultKind::DropEvent, options_.login)) {
        return;  // the client misses a number, and asks
    }
    transmit(said, number, time);
    if (faults_.strike(FaultKind::DuplicateEvent, options_.login)) {
        const std::uint32_t again = store_.next_out();
        check(store_.add({again, said.type, time, said.fields}));
        transmit(said, again, time, field(97, "Y"));  // PossResend: the same under a new number
    }
}

void FixSession::transmit(const Said& said, std::uint32_t number, const std::string& time,
                          const std::string& header) {
    const bool before_logon = said.type == "A" || said.type == "5";
    if (connection_ == nullptr || (!logged_on_ && !before_logon)) {
        return;
    }
    if (connection_->unsent() > FixConnection::kOutBytesMax) {
        return drop_connection("the client does not read");
    }
    last_sent_ = EventLoop::now();
    const FixAccount& account = options_.fix;
    connection_->send(seal_fix(
        field(fix::tag::kMsgType, said.type) + field(tag::kSenderCompId, account.sender_comp_id) +
        field(tag::kTargetCompId, account.target_comp_id) + field(fix::tag::kMsgSeqNum, number) +
        field(52, time) + header + said.fields));
}

/// Heartbeats, and the end of a client that is silent for 2.4 of its own.
void FixSession::beat() {
    const Nanos now = EventLoop::now();
    if (is_up()) {
        const Nanos silent = now - last_heard_;
        if (silent.value > heartbeat_.value / 5 * 12) {
            drop_connection("the client is silent");
        } else if (silent.value > heartbeat_.value / 5 * 6 && !test_sent_) {
            test_sent_ = true;
            say("1", field(tag::kTestReqId, "alive"));
        } else if ((now - last_sent_).value >= heartbeat_.value) {
            say("0", "");
        }
    }
    loop_.after(kBeat, guarded([this] { beat(); }));
}

void FixSession::busy(std::uint32_t ms, bool) {
    if (!is_up()) {
        return;
    }
    busy_ = true;
    connection_->pause(true);
    loop_.after(millis(ms), guarded([this, paused = connection_.get()] {
                    if (!busy_ || connection_.get() != paused) {
                        return;  // a new connection since
                    }
                    busy_ = false;
                    last_heard_ = EventLoop::now();
                    connection_->pause(false);
                }));
}

}  // namespace millrace::sim
