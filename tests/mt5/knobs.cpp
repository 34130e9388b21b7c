// What can be switched of a terminal and its broker, by name, and the rules that come of it.
#include "tests/mt5/host.h"
#include "tests/mt5/host_units.h"

#include "tools/market/text.h"

#include <algorithm>

namespace millrace::mt5 {

std::int64_t* Knobs::find(const std::string& name) {
    const std::map<std::string, std::int64_t*> all{{"history_delay_ms", &history_delay_ms},
                                                   {"incomplete_ms", &incomplete_ms},
                                                   {"lists_empty_ms", &lists_empty_ms},
                                                   {"flicker", &flicker},
                                                   {"shuffle", &shuffle},
                                                   {"lose_events_ppm", &lose_events_ppm},
                                                   {"result_form", &result_form},
                                                   {"late_ms", &late_ms},
                                                   {"twice", &twice},
                                                   {"async_ms", &async_ms},
                                                   {"disconnected", &disconnected},
                                                   {"terminal_denied", &terminal_denied},
                                                   {"program_denied", &program_denied},
                                                   {"expert_denied", &expert_denied},
                                                   {"account_denied", &account_denied},
                                                   {"fill_flags", &fill_flags},
                                                   {"fill_accepted", &fill_accepted},
                                                   {"execution", &execution},
                                                   {"unwatched", &unwatched},
                                                   {"server_magic", &server_magic},
                                                   {"no_history", &no_history},
                                                   {"deals_each", &deals_each},
                                                   {"late_position", &late_position},
                                                   {"hidden_list", &hidden_list},
                                                   {"hidden_position", &hidden_position},
                                                   {"file_full", &file_full},
                                                   {"drop_read", &drop_read},
                                                   {"drop_send", &drop_send},
                                                   {"crash_send", &crash_send},
                                                   {"busy_ms", &busy_ms},
                                                   {"timeout_error", &timeout_error},
                                                   {"flush_lies", &flush_lies},
                                                   {"other_account", &other_account},
                                                   {"logged_out", &logged_out},
                                                   {"server_ahead_s", &server_ahead_s},
                                                   {"switch_in_send", &switch_in_send},
                                                   {"break_in_send", &break_in_send},
                                                   {"check_lies", &check_lies},
                                                   {"refused_in_history", &refused_in_history},
                                                   {"drop_stops", &drop_stops},
                                                   {"trade_mode", &trade_mode},
                                                   {"order_mode", &order_mode},
                                                   {"expirations", &expirations},
                                                   {"volume_limit", &volume_limit},
                                                   {"limit_orders", &limit_orders},
                                                   {"fifo_close", &fifo_close},
                                                   {"real_account", &real_account},
                                                   {"in_euros", &in_euros},
                                                   {"contract_size", &contract_size},
                                                   {"booted_at_ms", &booted_at_ms},
                                                   {"tick_cache", &tick_cache},
                                                   {"copy_ticks_ms", &copy_ticks_ms},
                                                   {"no_tick_history", &no_tick_history},
                                                   {"send_buffer", &send_buffer}};
    const auto it = all.find(name);
    return it == all.end() ? nullptr : it->second;
}

/// What terminal and broker refuse by their rules. 0 = nothing.
uint Host::check(const MqlTradeRequest& request) const {
    const bool pending =
        request.action == TRADE_ACTION_PENDING || request.action == TRADE_ACTION_MODIFY;
    if (pending && ((knobs.expirations >> request.type_time) & 1) == 0) {
        return TRADE_RETCODE_INVALID_EXPIRATION;
    }
    if (request.action != TRADE_ACTION_DEAL && request.action != TRADE_ACTION_PENDING) {
        return 0;
    }
    if (((knobs.fill_accepted >> request.type_filling) & 1) == 0) {
        return TRADE_RETCODE_INVALID_FILL;
    }
    const auto& positions = account().positions;  // by identifier, which grows
    const bool closes = request.action == TRADE_ACTION_DEAL && request.position != 0;
    const bool behind = std::any_of(positions.begin(), positions.end(), [&](const auto& one) {
        return one.first < request.position &&
               market::view_of(one.second.symbol) == request.symbol.str();
    });
    return knobs.fifo_close != 0 && closes && behind ? TRADE_RETCODE_FIFO_CLOSE : 0U;
}

void Host::drop_stops() {
    std::vector<std::uint64_t> tickets;
    for (const auto& [id, position] : account().positions) {
        tickets.push_back(position.ticket);
    }
    for (const std::uint64_t ticket : tickets) {
        sim::TradeRequest request;
        request.type = CommandType::Modify;
        request.position_ticket = ticket;
        (void)server_->execute(options_.login, request);
    }
}

long Host::opened_msc(ulong position) const {
    const auto it = std::find_if(deals.begin(), deals.end(), [position](const ViewDeal& deal) {
        return deal.position == position;
    });
    return it == deals.end() ? 0 : it->time_msc;
}

}  // namespace millrace::mt5
