#include "tests/scenarios/scenario.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>

namespace millrace::test {

std::int64_t decimal(std::string text) {
    const bool minus = !text.empty() && text[0] == '-';
    text = minus ? text.substr(1) : text;
    const std::size_t dot = std::min(text.find('.'), text.size());
    std::string fraction = dot < text.size() ? text.substr(dot + 1) : "";
    fraction.resize(8, '0');
    const std::int64_t value = std::stoll(text.substr(0, dot)) * kScale + std::stoll(fraction);
    return minus ? -value : value;
}

std::string take(Words& words) {
    if (words.empty()) {
        throw std::runtime_error("a word is missing");
    }
    std::string word = words.front();
    words.pop_front();
    return word;
}

void Scenario::run() {
    std::ifstream file{path_};
    ASSERT_TRUE(file) << path_;
    std::string text;
    while (std::getline(file, text) && !::testing::Test::HasFailure()) {
        ++line_;
        std::istringstream in{text.substr(0, text.find("# "))};
        const Words words{std::istream_iterator<std::string>{in}, {}};
        if (!words.empty()) {
            SCOPED_TRACE(path_.filename().string() + ":" + std::to_string(line_) + ": " + text);
            step(words);
            collect();
        }
    }
    SCOPED_TRACE(path_.filename().string() + ": at its end");
    expect_nothing();
}

const std::map<std::string, Scenario::Verb>& Scenario::verbs() {
    static const std::map<std::string, Verb> verbs = {
        {"world", &Scenario::world},     {"signal", &Scenario::signal},
        {"burst", &Scenario::burst},     {"answer", &Scenario::answer},
        {"event", &Scenario::event},     {"query", &Scenario::query},
        {"unsent", &Scenario::unsent},   {"again", &Scenario::again},
        {"foreign", &Scenario::foreign}, {"permit", &Scenario::permit},
        {"session", &Scenario::session}, {"wait", &Scenario::wait},
        {"price", &Scenario::price},     {"kill", &Scenario::kill},
        {"group", &Scenario::group},     {"room", &Scenario::room},
        {"account", &Scenario::account}, {"resolve", &Scenario::resolve},
        {"restart", &Scenario::restart}, {"reboot", &Scenario::reboot},
        {"expect", &Scenario::expect},   {"simulate", &Scenario::simulate},
        {"equity", &Scenario::equity},   {"limit", &Scenario::limit},
        {"quotes", &Scenario::quotes},   {"currency", &Scenario::currency},
        {"quoted", &Scenario::quoted},   {"money", &Scenario::money},
        {"hours", &Scenario::hours},     {"margin", &Scenario::margin},
        {"quote", &Scenario::quote},     {"configured", &Scenario::configured}};
    return verbs;
}

void Scenario::step(Words words) {
    const std::string verb = take(words);
    const auto known = verbs().find(verb);
    ASSERT_NE(known, verbs().end()) << "unknown word " << verb;
    (this->*known->second)(words);
    EXPECT_TRUE(words.empty()) << "left over: " << (words.empty() ? "" : words.front());
}

Rig& Scenario::rig() {
    if (rig_ == nullptr) {
        Words plain;
        world(plain);
    }
    return *rig_;
}

const OrderCommand& Scenario::order(const std::string& name) const {
    return seen_.at(static_cast<std::size_t>(std::stoul(name.substr(1))) - 1);
}

/// The account that a line ends with; 0 if it names none.
std::uint32_t Scenario::account_of(Words& words) {
    return words.empty() ? 0 : static_cast<std::uint32_t>(std::stoul(take(words)));
}

void Scenario::collect() {
    if (rig_ == nullptr) {
        return;
    }
    for (const OrderCommand& c : rig_->take_orders()) {
        if (c.type == CommandType::Resolve) {
            continue;  // what the line before has said, told on: nobody answers it
        }
        seen_.push_back(c);
        orders_.push_back(c);
    }
    for (const SignalResult& r : rig_->take_results()) {
        results_.push_back(r);
    }
}

/// Only as a file's first word: another world than the usual one.
void Scenario::world(Words& words) {
    ASSERT_EQ(rig_, nullptr) << "the world stands already";
    std::uint32_t accounts = 1;
    MarginMode mode = MarginMode::Hedging;
    bool early = false;
    while (!words.empty()) {
        const std::string what = take(words);
        if (what == "accounts") {
            accounts = static_cast<std::uint32_t>(std::stoul(take(words)));
        } else if (what == "room") {  // in the tables of orders and signals
            capacity_.orders = capacity_.signals =
                static_cast<std::uint32_t>(std::stoul(take(words)));
        } else if (what == "netting") {
            mode = MarginMode::Netting;
        } else if (what == "early") {  // orders leave before their record is on disk
            early = true;
        } else {
            FAIL() << "unknown world " << what;
        }
    }
    rig_ = std::make_unique<Rig>(capacity_);
    rig_->world(accounts, mode);
    for (std::uint32_t a = 0; early && a < accounts; ++a) {
        AccountSpec spec = Rig::account_spec(a);
        spec.margin_mode = mode;
        spec.leaves_early = 1;
        rig_->admin(AdminOp::DefineAccount, spec);
    }
    rig_->take_results();
}

void Scenario::signal(Words& words) {
    ++covered_.signals;
    const std::uint64_t n = std::stoull(take(words));
    const std::string action = take(words);
    if (action != "open") {
        const std::uint64_t target = std::stoull(take(words));
        const SignalAction a = action == "close"    ? SignalAction::Close
                               : action == "modify" ? SignalAction::Modify
                                                    : SignalAction::Cancel;
        const bool part = !words.empty() && words.front()[0] >= '0' && words.front()[0] <= '9';
        Signal s = rig().change(n, a, target, part ? Lots{decimal(take(words))} : Lots{});
        s.stop_loss = a == SignalAction::Modify ? points(105'000) : Price{};
        while (!words.empty()) {
            option(s, words);
        }
        rig().signal(s);
        return;
    }
    const Side side = take(words) == "buy" ? Side::Buy : Side::Sell;
    Signal s = rig().open(n, side, Lots{decimal(take(words))});
    while (!words.empty()) {
        option(s, words);
    }
    rig().signal(s);
}

void Scenario::option(Signal& s, Words& words) const {
    const std::string name = take(words);
    const std::string value = take(words);
    if (name == "limit" || name == "stop") {
        s.price_kind = name == "limit" ? PriceKind::Limit : PriceKind::Stop;
        s.price = Price{decimal(value)};
    } else if (name == "ttl") {
        s.ttl_ms = static_cast<std::uint32_t>(std::stoul(value)) * 1000;
    } else if (name == "ref") {
        s.reference_price = Price{decimal(value)};
    } else if (name == "symbol") {
        s.symbol = SymbolId{value == "GBPUSD" ? 1U : 0U};
    } else if (name == "age") {
        s.send_time = s.edge_time = rig_->now - seconds(std::stoll(value));
    } else if (name == "hold") {
        s.flags = value == "yes" ? kHoldUntilOpen : std::uint8_t{0};
    } else {
        ADD_FAILURE() << "unknown option " << name;
    }
}

/// burst COUNT FIRST open buy 0.01: that many signals at one moment.
void Scenario::burst(Words& words) {
    const std::uint64_t count = std::stoull(take(words));
    const std::uint64_t first = std::stoull(take(words));
    for (std::uint64_t n = 0; n < count; ++n) {
        Words one = words;
        one.push_front(std::to_string(first + n));
        signal(one);
    }
    words.clear();
}

void Scenario::report(const Report& r) {
    ++covered_.reports;
    rig().report(r);
}

/// Of the orders since the last such line: the look-ups, or all others.
template <class Tell>
void Scenario::each_unanswered(bool queries, const Tell& tell) {
    for (const std::size_t end = seen_.size(); answered_ < end; ++answered_) {
        const OrderCommand c = seen_[answered_];
        if ((c.type == CommandType::Query) == queries) {
            tell(c);
        }
    }
}

/// answer #1|all CODE [VOLUME|full] [deal N] [position N]
void Scenario::answer(Words& words) {
    const std::string which = take(words);
    const auto code = static_cast<std::uint32_t>(std::stoul(take(words)));
    const bool says = !words.empty() && words.front() != "deal" && words.front() != "position";
    const std::string volume = says ? take(words) : "0";
    std::map<std::string, std::uint64_t> tickets;
    while (!words.empty()) {
        const std::string key = take(words);
        ASSERT_TRUE(key == "deal" || key == "position") << key;
        tickets[key] = std::stoull(take(words));
    }
    const std::uint64_t deal = tickets["deal"];
    const std::uint64_t position = tickets["position"];
    const auto tell = [&](const OrderCommand& c) {
        Report r = rig().outcome(c, code, volume == "full" ? c.volume : Lots{decimal(volume)});
        r.deal_ticket = deal != 0 ? deal : r.deal_ticket;
        r.position_id = position != 0 ? position : r.position_id;
        report(r);
    };
    if (which != "all") {
        tell(OrderCommand{order(which)});
        return;
    }
    each_unanswered(false, tell);
}

/// event #1 KIND [VOLUME] [deal N]
void Scenario::event(Words& words) {
    static const std::map<std::string, ExecKind> kinds = {
        {"filled", ExecKind::PendingFilled},    {"canceled", ExecKind::PendingCanceled},
        {"expired", ExecKind::PendingCanceled}, {"sl", ExecKind::ClosedByStopLoss},
        {"tp", ExecKind::ClosedByTakeProfit},   {"stopout", ExecKind::ClosedByStopOut},
        {"manual", ExecKind::ClosedManually},   {"kill", ExecKind::ClosedByKill}};
    const OrderCommand c = order(take(words));
    const std::string kind = take(words);
    const Lots volume =
        words.empty() || words.front() == "deal" ? Lots{} : Lots{decimal(take(words))};
    Report r = rig().exec(c, kinds.at(kind), volume);
    if (!words.empty()) {
        take(words);
        r.deal_ticket = std::stoull(take(words));
    }
    r.reason = static_cast<std::uint16_t>(kind == "expired" ? Reason::Expired : Reason::None);
    report(r);
}

void Scenario::query(Words& words) {
    static const std::map<std::string, OrdStatus> statuses = {{"filled", OrdStatus::Filled},
                                                              {"canceled", OrdStatus::Canceled},
                                                              {"new", OrdStatus::New},
                                                              {"rejected", OrdStatus::Rejected}};
    const std::string which = take(words);
    const std::string answer = take(words);
    const auto none = answer == "absent" ? ReportType::QueryAbsent : ReportType::QueryUnknown;
    if (which == "all") {
        each_unanswered(true, [&](const OrderCommand& c) { report(rig().query_answer(c, none)); });
        return;
    }
    const OrderCommand c = order(which);
    if (answer != "found") {
        report(rig().query_answer(c, none));
        return;
    }
    const OrdStatus status = statuses.at(take(words));
    const Lots volume = words.empty() ? Lots{} : Lots{decimal(take(words))};
    Report r = rig().query_answer(c, ReportType::QueryFound, status, volume);
    r.retcode = status == OrdStatus::Rejected ? retcode::kReject : r.retcode;
    report(r);
}

void Scenario::unsent(Words& words) {
    static const std::map<std::string, Reason> reasons = {{"expired", Reason::Expired},
                                                          {"killed", Reason::Killed},
                                                          {"queue", Reason::QueueFull},
                                                          {"stale", Reason::None}};
    const OrderCommand c = order(take(words));
    Report r = rig().from(c.account.value, ReportType::Unsent);
    r.magic = c.magic;
    r.reason = static_cast<std::uint16_t>(reasons.at(take(words)));
    report(r);
}

/// The executor tells its last event once more, under the same number.
void Scenario::again(Words&) {
    const auto& log = rig().log;
    const auto last = std::find_if(log.rbegin(), log.rend(), [](const JournalRecord& r) {
        return r.type == InputType::Report && r.as<Report>().event_seq != 0;
    });
    ASSERT_NE(last, log.rend()) << "nothing was told yet";
    report(last->as<Report>());
}

/// A deal on the account that is not ours.
void Scenario::foreign(Words& words) {
    Report r = rig().from(account_of(words), ReportType::Exec);
    r.exec_kind = ExecKind::Foreign;
    r.side = Side::Sell;
    r.symbol = SymbolId{0};
    r.volume = centi(10);
    r.deal_ticket = 777;
    report(r);
}

/// permit on|off|away|settling [EQUITY]: what the terminal says of its account, and whether it
/// reaches the trade server; away and settling say nothing of the permission.
void Scenario::permit(Words& words) {
    Report r = rig().from(0, ReportType::AccountInfo);
    static const std::map<std::string, std::uint8_t> said = {{"on", kAccountPermitted},
                                                             {"off", 0},
                                                             {"away", kAccountAway},
                                                             {"settling", kAccountSettling}};
    r.permissions = said.at(take(words));
    r.equity = r.balance = Money{words.empty() ? 10'000 * kScale : decimal(take(words))};
    report(r);
}

/// equity 9000 [9100]...: readings of account 0, with a balance of 10000.
void Scenario::equity(Words& words) {
    while (!words.empty()) {
        ++covered_.reports;
        rig().equity(decimal(take(words)) / kScale);
    }
}

/// session down|up|link|sync|lost [ACCOUNT]; lost: up with a journal that never heard of us.
void Scenario::session(Words& words) {
    const std::string what = take(words);
    const std::uint32_t account = account_of(words);
    ++covered_.reports;
    if (what == "down") {
        rig().session_down(account);
    } else if (what == "link") {
        rig().link_up(account);
    } else if (what == "sync") {
        rig().sync_done(account);
    } else {
        ASSERT_TRUE(what == "up" || what == "lost") << what;
        static std::uint64_t journals = 1000;
        rig().session_up(account, what == "up" ? 77 : ++journals);
    }
}

}  // namespace millrace::test
