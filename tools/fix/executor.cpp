// Commands: journal, then act, then answer.
#include "tools/fix/executor.h"

#include "core/retcode.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace millrace::fix {
namespace {

constexpr std::uint32_t kOrdersMax = 16'384;
constexpr std::uint32_t kLimitOrders = 10033;
constexpr std::uint32_t kInvalid = 10013;
constexpr std::uint32_t kServerDisables = 10026;

std::uint64_t new_journal_id() noexcept {
    wire::Nonce random;
    wire::fill_nonce(random);
    std::uint64_t id = 0;
    std::memcpy(&id, random, sizeof id);
    return id | 1;  // never 0
}

CommandType type_of(const bridge::Command& command) noexcept {
    return static_cast<CommandType>(command.type);
}

std::string text_of(const Error& error) {
    return std::string{error.what} +
           (error.sys_errno != 0 ? std::string{": "} + std::strerror(error.sys_errno) : "");
}

}  // namespace

Executor::Executor(sim::EventLoop& loop, ExecutorOptions options)
    : loop_{loop}, options_{std::move(options)} {}

Executor::~Executor() {
    if (timer_ != 0) {
        loop_.cancel(timer_);
    }
    if (session_ != nullptr) {
        loop_.forget(session_->news_fd());
    }
}

void Executor::log(const std::string& text) const {
    std::fprintf(stderr, "fix: account %s: %s\n", options_.link.name.c_str(), text.c_str());
}

void Executor::check(const Status& status) const {
    if (!status.ok()) {
        // Without its files it cannot promise anything: better dead than doubling orders.
        log("files in " + options_.folder + ": " + text_of(status.error()) + "; ending");
        std::_Exit(1);
    }
}

std::string Executor::start(bool& held) {
    sim::JournalOptions options;
    options.path = options_.folder + "/intents";
    options.login = options_.link.login;
    options.new_id = new_journal_id();
    options.now_ns = sim::EventLoop::wall_now().value;
    auto orders = OrderFile::open(options_.folder + "/orders");
    held = !orders && orders.code() == Errc::NotOwner;
    if (!orders) {
        return options_.folder + "/orders: " + text_of(orders.error());
    }
    orders_ = std::move(orders).value();
    // A new journal vouches for nothing: whether one was lost cannot be seen here, for with the
    // engine's directory all of these files are lost, and a recovery gives the engine its orders
    // back.
    options.account_has_history = true;
    auto journal = sim::IntentJournal::open(options);
    held = !journal && journal.code() == Errc::NotOwner;
    if (!journal) {
        return options.path + ": " + text_of(journal.error());
    }
    journal_ = std::move(journal).value();
    check(sim::sync_folder(options_.folder));  // the names of files that are new
    settle_after_restart();
    options_.session.sequence_path = options_.folder + "/numbers";
    options_.session.message_log = options_.folder + "/messages.log";
    std::string error;
    session_ = VenueSession::start(options_.session, error);
    if (session_ == nullptr) {
        return error;
    }
    loop_.watch(session_->news_fd(), EPOLLIN, [this](std::uint32_t) { on_news(); });
    LinkOwner& owner = *this;
    link_ = std::make_unique<BridgeLink>(loop_, journal_, owner, options_.link);
    link_->connect();
    on_tick();
    return "";
}

void Executor::stop() {
    sync();
    session_->stop();
}

/// The book as the order file has it. The tag that our orders carry comes with the first session.
void Executor::make_book() {
    book_tag_ = journal_.session().magic_tag;
    book_ =
        std::make_unique<OrderBook>(kOrdersMax, book_tag_, options_.instruments, options_.profile);
    if (const std::size_t unknown = orders_.restore(*book_); unknown > 0) {
        log("ALERT " + std::to_string(unknown) +
            " orders are of symbols that are not configured any more");
    }
}

void Executor::on_session() {
    const bool is_new_book = book_tag_ != journal_.session().magic_tag;
    if (is_new_book) {
        make_book();
    }
    told_once_ = false;
    offer_account_info();
    for (const auto& [symbol, quote] : quotes_) {
        tell_quote(symbol);
    }
    if (is_new_book && venue_up_) {
        refresh();  // what the venue told before was not known as ours
    }
    carry_out_kills();
}

void Executor::on_command(std::uint64_t seq, const bridge::Command& command, Nanos received) {
    const sim::SessionMemory& session = journal_.session();
    if (seq <= session.command_seq) {
        return;  // a resend of what is journalled: its events speak for it
    }
    const bool finding = type_of(command) == CommandType::Resolve;
    const bool query = type_of(command) == CommandType::Query || finding;
    const bool stale = command.generation < session.generation || command.epoch < session.epoch;
    // The kill switch goes by the tag in WELCOME, and so does the book: an order of another one
    // would escape them.
    if (stale || Magic{command.magic}.tag() != session.magic_tag) {
        bridge::Event refused{};
        refused.type =
            static_cast<std::uint8_t>(query ? ReportType::QueryUnknown : ReportType::Unsent);
        refused.ord_status =
            static_cast<std::uint8_t>(query ? OrdStatus::InDoubt : OrdStatus::Rejected);
        refused.reason =
            static_cast<std::uint16_t>(stale ? Reason::None : Reason::AccountNotTrading);
        refused.magic = command.magic;
        refused.retcode = stale ? bridge::kStaleGeneration : bridge::kOtherTag;
        add_event(refused, 0);
        check(journal_.received_without_intent(seq));
        return sync();
    }
    if (finding) {
        resolve(command);
        check(journal_.received_without_intent(seq));
        return sync();
    }
    raise_floor(command);
    const sim::Intent* known = query ? nullptr : journal_.find(command.magic);
    if (query || known != nullptr) {
        // Answer first, number second: a death between them answers twice, the other order never.
        if (query) {
            answer_query(Magic{command.magic});
        } else if (known->state == sim::IntentState::Answered) {
            add_event(bridge::Event{known->answer}, 0);
        }
        check(journal_.received_without_intent(seq));
        return sync();
    }
    sim::Intent intent;
    intent.seq = seq;
    intent.received_ns = sim::EventLoop::wall_now().value;
    intent.command = command;
    intent.state = sim::IntentState::Received;
    check(journal_.received(intent));
    if (is_in_question(command)) {
        put_in_doubt(command);
        return sync();
    }
    submit(command, received);
}

/// The message for a command. @return 0, or the TRADE_RETCODE that refuses it here.
std::uint32_t Executor::body_of(const bridge::Command& command, Body& body) const {
    const Instrument* traded = book_->instrument(command.symbol);
    if (traded == nullptr) {
        return kInvalid;
    }
    const Venue venue{options_.profile, *traded, options_.account, sim::EventLoop::wall_now()};
    if (type_of(command) == CommandType::Open || type_of(command) == CommandType::Close) {
        return new_order(command, venue, body);
    }
    const auto order = book_->reference(Magic{command.order_ticket});
    if (!order) {
        return retcode::kPositionClosed;  // nothing left to act on
    }
    return type_of(command) == CommandType::Cancel ? cancel(command, order.value(), venue, body)
                                                   : replace(command, order.value(), venue, body);
}

/// Sends what is journalled as received, or says why not. @param received its ttl runs from here.
void Executor::submit(const bridge::Command& command, Nanos received) {
    const Magic magic{command.magic};
    const auto is_expired = [&] {
        return command.ttl_ms != 0 && sim::EventLoop::now() - received >= millis(command.ttl_ms);
    };
    const auto expire = [&] {
        answer(command, ReportType::Unsent, OrdStatus::Expired, Reason::Expired, 0);
        sync();
    };
    const auto refuse = [&](std::uint32_t code) {
        answer(command, ReportType::Outcome, OrdStatus::Rejected, Reason::None, code);
        sync();
    };
    if (is_expired()) {
        return expire();
    }
    if (is_stopped(command)) {
        answer(command, ReportType::Unsent, OrdStatus::Rejected, Reason::Killed, kServerDisables);
        return sync();
    }
    if (!venue_up_ || !session_->logged_on()) {
        return refuse(kLoggedOff);
    }
    Body body;
    if (const std::uint32_t refused = body_of(command, body); refused != 0) {
        return refuse(refused);
    }
    if (const std::uint32_t refused = put_into_book(command); refused != 0) {
        return refuse(refused);
    }
    check(journal_.sending(magic.value));
    sync();              // before it leaves: a death from here on is looked up
    if (is_expired()) {  // a disk may be slow
        book_->close(magic);
        touched_.insert(magic.value);
        return expire();
    }
    std::uint32_t number = 0;
    switch (session_->send(std::string{body.type()}, std::string{body.fields()}, number)) {
        case SendResult::Sent:
            book_->note_sequence(magic, number);
            in_flight_[magic.value] = sim::EventLoop::now();
            return;
        case SendResult::NotSent:
            book_->close(magic);
            touched_.insert(magic.value);
            return refuse(kLoggedOff);
        case SendResult::Unknown: doubt(command); return sync();
    }
}

/// @return 0, or the TRADE_RETCODE that refuses it here.
std::uint32_t Executor::put_into_book(const bridge::Command& command) {
    if (const auto added = book_->add(command); !added) {
        return added.code() == Errc::NoSpace    ? kLimitOrders
               : added.code() == Errc::NotFound ? retcode::kPositionClosed
                                                : kInvalid;
    }
    touched_.insert(command.magic);
    return 0;
}

/// The executor's own word about a command.
void Executor::answer(const bridge::Command& command, ReportType type, OrdStatus status,
                      Reason reason, std::uint32_t retcode) {
    bridge::Event event{};
    event.type = static_cast<std::uint8_t>(type);
    event.ord_status = static_cast<std::uint8_t>(status);
    event.reason = static_cast<std::uint16_t>(reason);
    event.side = command.side;
    event.magic = command.magic;
    event.retcode = retcode;
    event.requested = command.volume;
    event.broker_time_ns = sim::EventLoop::wall_now().value;
    std::memcpy(event.symbol, command.symbol, sizeof(event.symbol));
    add_event(event, command.magic);
}

void Executor::add_event(const bridge::Event& event, std::uint64_t answers) {
    const bool own = is_own(Magic{event.magic});
    const auto added = journal_.add_event(own ? as_kill_event(event) : event, answers, 0);
    check(added.ok() ? ok_status() : Status{added.error()});
}

/// Everything on disk, then what may be told is told. The order file comes after the events that
/// it takes for told: a power cut between them makes the venue's report come again, and the same
/// deal is told twice, under one number; never not at all.
void Executor::sync() {
    check(journal_.sync());
    save_touched();
    if (!touched_.empty() && !journal_.kills().empty() && kill_due_.value == 0) {
        kill_due_ = sim::EventLoop::now() + seconds(1);  // it may concern what changed
    }
    touched_.clear();
    check(orders_.sync());
    if (link_ != nullptr) {
        link_->send_events();
    }
}

void Executor::save_touched() {
    for (const std::uint64_t magic : touched_) {
        if (const auto state = book_->state(Magic{magic})) {
            check(orders_.save(*state));
        }
    }
}

}  // namespace millrace::fix
