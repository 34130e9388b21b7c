// What a FIX client asks for: orders, cancels, replaces, and how an order stands.
#include "tools/market/text.h"
#include "tools/simbroker/fix/fix_session.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>

namespace millrace::sim {
namespace {

// OrdRejReason(103) and CxlRejReason(102).
constexpr int kUnknownSymbol = 1;
constexpr int kUnknownOrder = 5;
constexpr int kDuplicateOrder = 6;
constexpr int kUnsupported = 11;
constexpr int kIncorrectQuantity = 13;
constexpr int kOther = 99;
constexpr int kTooLateToCancel = 0;
constexpr int kUnknownToCancel = 1;
constexpr int kBrokerOption = 2;

// A crash point: as if the machine had taken the process away between two instructions.
[[noreturn]] void die_now() noexcept {
    ::kill(::getpid(), SIGKILL);
    for (;;) {
        ::pause();
    }
}

}  // namespace

bool FixSession::requires_tags(const fix::Message& message, std::initializer_list<int> tags) {
    for (const int tag : tags) {
        if (!message.has(tag)) {
            reject(message, tag);
            return false;
        }
    }
    return true;
}

/// @return what is wrong with it, and OrdRejReason in `reason`; empty = nothing is.
std::string FixSession::read_order(const fix::Message& message, Asked& asked, int& reason) {
    reason = kOther;
    const auto magic = fix::magic_of(asked.name);
    if (!magic) {
        return "ClOrdID(11) must be 1 to 13 of 0-9 and A-Z, not begin with 0, be below 2^63 in "
               "base 36: these books know orders by it";
    }
    asked.request.magic = *magic;
    asked.request.comment = market::to_text<16>(asked.name);
    asked.symbol = message.text(fix::tag::kSymbol);
    asked.request.symbol = market::to_text<16>(asked.symbol);
    const auto instrument = options_.instruments.find(asked.request.symbol);
    if (instrument == options_.instruments.end()) {
        reason = kUnknownSymbol;
        return "no such Symbol(55) here";
    }
    const char side = message.character(fix::tag::kSide);
    reason = kUnsupported;
    if (side != '1' && side != '2') {
        return "Side(54) must be 1 or 2";
    }
    asked.request.side = side == '1' ? Side::Buy : Side::Sell;
    const auto quantity = fix::parse_decimal(message.text(fix::tag::kOrderQty)).value_or(0);
    asked.request.volume = fix::lots_of(quantity, instrument->second);
    const auto back = fix::quantity_of(asked.request.volume.value, instrument->second);
    if (!back || back.value() != quantity) {
        reason = kIncorrectQuantity;
        return "OrderQty(38) is no volume of this symbol";
    }
    const char type = message.character(fix::tag::kOrdType);
    const char tif =
        message.has(fix::tag::kTimeInForce) ? message.character(fix::tag::kTimeInForce) : '0';
    if (type < '1' || type > '3') {
        return "OrdType(40) must be 1, 2 or 3";
    }
    if (tif != '0' && tif != '1' && tif != '3' && tif != '4') {
        return "TimeInForce(59) must be 0, 1, 3 or 4";
    }
    if (type == '1') {
        return "";
    }
    const int price_tag = type == '2' ? fix::tag::kPrice : fix::tag::kStopPx;
    const Price price{fix::parse_decimal(message.text(price_tag)).value_or(0)};
    if (price.value <= 0) {
        reason = kOther;
        return "Price(44) of a limit order and StopPx(99) of a stop order must be above 0";
    }
    // A limit order that the market meets is executed at once, as at any venue; MT5's trade server
    // would refuse it as a pending order.
    const auto [bid, ask] = server_.quote(asked.request.symbol);
    const bool buy = asked.request.side == Side::Buy;
    const bool met = bid.value > 0 && (buy ? price >= ask : price <= bid);
    asked.one_shot = type == '2' && (tif == '3' || tif == '4');
    asked.limit = price;
    if (type == '2' && (asked.one_shot || met)) {
        return "";
    }
    asked.request.price_kind = type == '2' ? PriceKind::Limit : PriceKind::Stop;
    asked.request.price = price;
    return "";
}

void FixSession::on_order(const fix::Message& message) {
    using namespace fix::tag;
    if (!requires_tags(message, {kClOrdId, kSymbol, kSide, kOrderQty, kOrdType})) {
        return;
    }
    Asked asked;
    asked.type = 'D';
    asked.name = message.text(kClOrdId);
    asked.request.type = CommandType::Open;
    int reason = 0;
    if (const std::string wrong = read_order(message, asked, reason); !wrong.empty()) {
        ++counters_.commands;
        return say(refusal(asked, reason, wrong));
    }
    const bool twice =
        faults_.strike(FaultKind::DuplicateCommand, options_.login, command_of(asked)).has_value();
    for (int times = twice ? 2 : 1; times > 0 && logged_on_; --times) {
        take(asked);
    }
}

/// Faults tell an order that closes from one that opens: on a netting account, by its side.
CommandType FixSession::command_of(const Asked& asked) const {
    if (asked.type != 'D') {
        return asked.request.type;
    }
    const Account* account = server_.state().find(options_.login);
    const Position* position =
        account == nullptr ? nullptr : account->find_position(asked.request.symbol);
    const bool closes = position != nullptr && position->side() != asked.request.side;
    return closes ? CommandType::Close : CommandType::Open;
}

void FixSession::on_change(const fix::Message& message) {
    using namespace fix::tag;
    if (!requires_tags(message, {kClOrdId, kOrigClOrdId, kSymbol, kSide})) {
        return;
    }
    Asked asked;
    asked.type = message.type().front();
    asked.name = message.text(kClOrdId);
    asked.of = message.text(kOrigClOrdId);
    asked.symbol = message.text(kSymbol);
    asked.request.type = asked.type == 'F' ? CommandType::Cancel : CommandType::Modify;
    const auto name = fix::magic_of(asked.name);
    const auto of = fix::magic_of(asked.of);
    if (!name || orders_.knows(*name)) {
        return say(refusal(asked, name ? kDuplicateOrder : kOther, "ClOrdID(11) cannot be used"));
    }
    asked.request.magic = *name;
    asked.request.comment = market::to_text<16>(asked.name);
    const FixOrder* order = of ? orders_.find(*of) : nullptr;
    if (order == nullptr || !order->works()) {
        const bool under_way = of && in_flight_.contains(of->value);
        const int reason = under_way          ? kBrokerOption
                           : order == nullptr ? kUnknownToCancel
                                              : kTooLateToCancel;
        return say(refusal(asked, reason, "no such order works here"));
    }
    asked.request.order_ticket = order->ticket;
    if (asked.type == 'G') {
        const auto& instrument = options_.instruments.at(order->symbol);
        const int tag = order->price_kind == PriceKind::Limit ? kPrice : kStopPx;
        const auto quantity = fix::quantity_of(order->requested.value, instrument);
        asked.request.price = Price{fix::parse_decimal(message.text(tag)).value_or(0)};
        const bool other_quantity =
            message.has(kOrderQty) &&
            (!quantity || fix::parse_decimal(message.text(kOrderQty)) != quantity.value());
        if (other_quantity || asked.request.price.value <= 0) {
            return say(refusal(asked, kOther, "a replace changes the price, and has one"));
        }
    }
    take(asked);
}

/// Taken: the faults between the connection and the trade server, and the order's double.
void FixSession::take(const Asked& asked) {
    const CommandType command = command_of(asked);
    const std::uint64_t login = options_.login;
    if (faults_.strike(FaultKind::DisconnectBefore, login, command)) {
        received_ = 0;
        return drop_connection("fault: disconnect before the message was taken");
    }
    ++counters_.commands;
    const Magic name = asked.request.magic;
    if (asked.type == 'D' && (orders_.knows(name) || in_flight_.contains(name.value))) {
        ++counters_.repeats;
        server_.note_repeat(login, asked.request, store_.next_in());
        if (options_.fix.refuses_duplicates &&
            !faults_.strike(FaultKind::NoIntentJournal, login, command)) {
            return say(refusal(asked, kDuplicateOrder, "duplicate ClOrdID(11)"));
        }
    }
    if (faults_.strike(FaultKind::CrashOnReceive, login, command)) {
        count_received();
        die_now();
    }
    if (const auto fault = faults_.strike(FaultKind::Latency, login, command)) {
        const auto spread = static_cast<std::uint64_t>(fault->jitter.value) + 1;
        const auto jitter = static_cast<std::int64_t>(faults_.random().below(spread));
        in_flight_.insert(name.value);
        loop_.after(fault->fixed + Nanos{jitter}, guarded([this, asked, after = fault->answer] {
                        in_flight_.erase(asked.request.magic.value);
                        execute(asked, after);
                    }));
        return;
    }
    execute(asked, Nanos{0});
}

void FixSession::execute(const Asked& asked, Nanos answer_after) {
    const CommandType command = command_of(asked);
    if (faults_.strike(FaultKind::CrashBeforeBooks, options_.login, command)) {
        die_now();
    }
    std::uint32_t unsaid = 0;
    holding_ = true;
    const TradeResult result = at_server(asked, command, unsaid);
    holding_ = false;
    std::vector<Said> said;
    said.swap(held_);
    if (faults_.strike(FaultKind::CrashAfterBooks, options_.login, command)) {
        die_now();
    }
    if (unsaid != 0 || says_nothing(result.retcode)) {
        return;  // done or not, nobody says so
    }
    if (!retcode::is_success(result.retcode) && said.empty()) {
        const int reason = asked.type == 'D' ? ord_rej_reason(result.retcode) : kTooLateToCancel;
        said.push_back(refusal(asked, reason, refusal_text(result.retcode)));
    }
    if (answer_after.value > 0) {
        loop_.after(answer_after, guarded([this, said, command] { answer(said, command); }));
        return;
    }
    answer(std::move(said), command);
}

TradeResult FixSession::at_server(const Asked& asked, CommandType command, std::uint32_t& unsaid) {
    const std::uint64_t login = options_.login;
    const auto injected = faults_.strike(FaultKind::Retcode, login, command);
    if (injected && !injected->executed) {
        return server_.refuse(login, asked.request, injected->code);
    }
    unsaid = injected ? injected->code : 0;
    if (asked.one_shot) {
        const auto [bid, ask] = server_.quote(asked.request.symbol);
        const bool buy = asked.request.side == Side::Buy;
        if (bid.value > 0 && (buy ? ask > asked.limit : bid < asked.limit)) {
            return server_.refuse(login, asked.request, retcode::kRequote);
        }
    }
    const auto partial = faults_.strike(FaultKind::PartialFill, login, command);
    return server_.execute(login, asked.request, partial ? partial->share : Ratio{kScale});
}

void FixSession::answer(std::vector<Said> said, CommandType command) {
    const bool cut =
        faults_.strike(FaultKind::DisconnectAfter, options_.login, command).has_value();
    const bool crash =
        faults_.strike(FaultKind::CrashAfterAnswer, options_.login, command).has_value();
    if (cut) {
        count_received();
        drop_connection("fault: disconnect after the execution, before the answer");
    }
    if (crash) {
        count_received();
        logged_on_ = false;  // kept, and not sent
    }
    for (const Said& one : said) {
        say(one);
    }
    if (crash) {
        die_now();
    }
}

void FixSession::on_status(const fix::Message& message) {
    using namespace fix::tag;
    if (!requires_tags(message, {kClOrdId, kSymbol, kSide})) {
        return;
    }
    if (faults_.strike(FaultKind::DisconnectBefore, options_.login, CommandType::Query)) {
        received_ = 0;
        return drop_connection("fault: disconnect before the request was taken");
    }
    const auto name = fix::magic_of(message.text(kClOrdId));
    const FixOrder* order = name ? orders_.find(*name) : nullptr;
    if (order != nullptr) {
        return say(status_of(*order, ""));
    }
    Asked asked;
    asked.type = 'D';
    asked.name = message.text(kClOrdId);
    asked.symbol = message.text(kSymbol);
    asked.request.side = message.character(kSide) == '2' ? Side::Sell : Side::Buy;
    if (name && in_flight_.contains(name->value)) {
        FixOrder pending;
        pending.name = *name;
        pending.status = OrdStatus::PendingNew;
        pending.side = asked.request.side;
        pending.symbol = market::to_text<16>(asked.symbol);
        return say(status_of(pending, ""));
    }
    say(refusal(asked, kUnknownOrder, "unknown order"));
}

void FixSession::on_mass_status(const fix::Message& message) {
    using namespace fix::tag;
    if (!requires_tags(message, {kMassStatusReqId, kMassStatusReqType})) {
        return;
    }
    if (message.integer(kMassStatusReqType) != 7) {
        return reject_business(message, 0, "MassStatusReqType(585) must be 7, all orders");
    }
    const auto& all = orders_.all();
    auto left = std::count_if(all.begin(), all.end(), [](const auto& o) { return o.works(); });
    std::string head = std::to_string(kMassStatusReqId) + "=";
    head += message.text(kMassStatusReqId);
    head += fix::kSoh + ("911=" + std::to_string(left)) + fix::kSoh;
    for (const FixOrder& order : all) {
        if (order.works()) {
            const char last = --left == 0 ? 'Y' : 'N';
            say(status_of(order, head + "912=" + last + fix::kSoh));
        }
    }
}

}  // namespace millrace::sim
