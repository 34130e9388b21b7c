// The bodies of the frames a terminal sends, and the request a command stands for.
#include "tools/market/text.h"
#include "tools/simbroker/terminal.h"

#include <cstring>

namespace millrace::sim {
namespace {

// Answers that leave open whether the server executed the request (mt5.md 1.2, class RECON).
bool leaves_open(std::uint32_t code) noexcept {
    return code == 0 || code == 10011 || code == retcode::kTimeout || code == retcode::kConnection;
}

std::uint32_t success_code(const OrderSummary& found) noexcept {
    if (found.executed.value == 0) {
        return found.command == CommandType::Open ? retcode::kPlaced : retcode::kDone;
    }
    return found.executed == found.requested ? retcode::kDone : retcode::kDonePartial;
}

}  // namespace

Text<16> Terminal::canonical(const char (&name)[16]) const {
    std::string_view view = market::view_of(name);
    const std::string& prefix = options_.symbol_prefix;
    const std::string& suffix = options_.symbol_suffix;
    if (!view.starts_with(prefix) || !view.substr(prefix.size()).ends_with(suffix)) {
        return {};  // another account's name for it: unknown here
    }
    view.remove_prefix(prefix.size());
    view.remove_suffix(suffix.size());
    return market::to_text<16>(view);
}

Text<16> Terminal::account_name(const Text<16>& canonical_name) const {
    return market::to_text<16>(options_.symbol_prefix +
                               std::string{market::view_of(canonical_name)} +
                               options_.symbol_suffix);
}

TradeRequest Terminal::request_of(const bridge::Command& command) const {
    TradeRequest request;
    request.type = static_cast<CommandType>(command.type);
    request.side = static_cast<Side>(command.side);
    request.price_kind = static_cast<PriceKind>(command.price_kind);
    request.deviation_points = command.deviation_points;
    request.magic = Magic{command.magic};
    request.symbol = canonical(command.symbol);
    request.volume = Lots{command.volume};
    request.price = Price{command.price};
    request.stop_loss = Price{command.stop_loss};
    request.take_profit = Price{command.take_profit};
    request.position_ticket = command.position_ticket;
    request.order_ticket = command.order_ticket;
    std::memcpy(request.comment.bytes, command.comment, sizeof request.comment.bytes);
    return request;
}

bridge::Event Terminal::outcome_of(const bridge::Command& command,
                                   const TradeResult& result) const {
    bridge::Event event{};
    event.type = static_cast<std::uint8_t>(ReportType::Outcome);
    event.ord_status =
        static_cast<std::uint8_t>(leaves_open(result.retcode) ? OrdStatus::InDoubt : result.status);
    event.side = static_cast<std::uint8_t>(result.side);
    event.magic = command.magic;
    event.retcode = result.retcode;
    event.order_ticket = result.order;
    event.deal_ticket = result.deal;
    event.position_id = result.position;
    event.volume = result.volume.value;
    event.requested = result.requested.value;
    event.price = result.price.value;
    event.bid = result.bid.value;
    event.ask = result.ask.value;
    event.broker_time_ns = EventLoop::wall_now().value;
    std::memcpy(event.symbol, command.symbol, sizeof event.symbol);
    return event;
}

bridge::Event Terminal::unsent_of(const bridge::Command& command, OrdStatus status, Reason reason,
                                  std::uint32_t code) const {
    TradeResult nothing;
    nothing.side = static_cast<Side>(command.side);
    nothing.requested = Lots{command.volume};
    bridge::Event event = outcome_of(command, nothing);
    event.type = static_cast<std::uint8_t>(ReportType::Unsent);
    event.ord_status = static_cast<std::uint8_t>(status);
    event.reason = static_cast<std::uint16_t>(reason);
    event.retcode = code;
    return event;
}

bridge::Event Terminal::found_event(std::uint64_t magic, const OrderSummary& found) const {
    bridge::Event event{};
    event.type = static_cast<std::uint8_t>(ReportType::QueryFound);
    event.ord_status = static_cast<std::uint8_t>(found.status);
    event.side = static_cast<std::uint8_t>(found.side);
    event.magic = magic;
    event.retcode = found.status == OrdStatus::Rejected ? found.retcode : success_code(found);
    event.order_ticket = found.order;
    event.deal_ticket = found.deal;
    event.position_id = found.position;
    event.volume = found.executed.value;
    event.requested = found.requested.value;
    event.price = found.average.value;
    event.broker_time_ns = found.time_ns;
    const Text<16> name = account_name(found.symbol);
    std::memcpy(event.symbol, name.bytes, sizeof event.symbol);
    const auto [bid, ask] = server_.quote(found.symbol);
    event.bid = bid.value;
    event.ask = ask.value;
    return event;
}

bridge::Event Terminal::query_event(std::uint64_t magic) const {
    bridge::Event event{};
    event.magic = magic;
    event.type = static_cast<std::uint8_t>(ReportType::QueryUnknown);
    event.ord_status = static_cast<std::uint8_t>(OrdStatus::InDoubt);
    event.broker_time_ns = EventLoop::wall_now().value;
    const Intent* intent = journal_.find(magic);
    const bool at_server = in_flight_.contains(magic);
    if (at_server || (intent != nullptr && intent->state != IntentState::Answered)) {
        event.ord_status = static_cast<std::uint8_t>(OrdStatus::PendingNew);
        return event;  // at the trade server right now; its Outcome follows for certain
    }
    // The account's own history outweighs whatever answer the terminal got.
    const OrderSummary* found = server_.find_magic(options_.login, Magic{magic});
    if (found != nullptr &&
        !(found->status == OrdStatus::Rejected && leaves_open(found->retcode))) {
        return found_event(magic, *found);
    }
    const bool unsent =
        intent != nullptr && intent->answer.type == static_cast<std::uint8_t>(ReportType::Unsent);
    if (unsent || (intent != nullptr && !leaves_open(intent->answer.retcode))) {
        event = intent->answer;
        event.type = static_cast<std::uint8_t>(ReportType::QueryFound);
        return event;
    }
    // No trace in the account. A request without an answer, or one that a lost journal may have
    // sent, counts as absent only after it had time to show up.
    const std::int64_t quiet_since =
        intent != nullptr ? intent->answer.broker_time_ns : journal_.created_ns();
    const std::int64_t wait_ns = std::int64_t{options_.absent_after_ms} * 1'000'000;
    const bool waited = event.broker_time_ns - quiet_since >= wait_ns;
    const bool never_seen = intent == nullptr && journal_.intact().intact != 0 &&
                            Magic{magic}.intent() > journal_.intact().floor_intent;
    if (waited || never_seen) {
        event.type = static_cast<std::uint8_t>(ReportType::QueryAbsent);
        event.ord_status = static_cast<std::uint8_t>(OrdStatus::Rejected);
    }
    return event;
}

bridge::Event Terminal::exec_event(const BookRecord& record) const {
    bridge::Event event{};
    const bool deal = record.kind == BookKind::Deal;
    const bool ours = is_ours(record.magic);
    event.type = static_cast<std::uint8_t>(ReportType::Exec);
    event.exec_kind = static_cast<std::uint8_t>(ours ? record.reason : ExecKind::Foreign);
    event.ord_status = static_cast<std::uint8_t>(deal ? OrdStatus::Filled : OrdStatus::Canceled);
    event.side = static_cast<std::uint8_t>(record.side);
    event.magic = record.magic;
    event.retcode = deal ? retcode::kDone : record.retcode;
    event.order_ticket = record.order;
    event.deal_ticket = record.deal;
    event.position_id = record.position;
    event.volume = deal ? record.volume : 0;
    event.requested = record.volume;
    event.price = record.price;
    const auto [bid, ask] = server_.quote(record.symbol);
    event.bid = bid.value;
    event.ask = ask.value;
    event.broker_time_ns = record.time_ns;
    const Text<16> name = account_name(record.symbol);
    std::memcpy(event.symbol, name.bytes, sizeof event.symbol);
    return event;
}

}  // namespace millrace::sim
