// What can be switched of a terminal and its broker, by name.
#include "tests/mt5/host.h"

namespace millrace::mt5 {

std::int64_t* Knobs::find(const std::string& name) {
    const std::map<std::string, std::int64_t*> all{{"history_delay_ms", &history_delay_ms},
                                                   {"incomplete_ms", &incomplete_ms},
                                                   {"lists_empty_ms", &lists_empty_ms},
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
                                                   {"hidden_position", &hidden_position},
                                                   {"file_full", &file_full},
                                                   {"drop_read", &drop_read},
                                                   {"drop_send", &drop_send},
                                                   {"crash_send", &crash_send},
                                                   {"hidden_list", &hidden_list},
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
                                                   {"contract_size", &contract_size},
                                                   {"booted_at_ms", &booted_at_ms},
                                                   {"tick_cache", &tick_cache},
                                                   {"copy_ticks_ms", &copy_ticks_ms},
                                                   {"no_tick_history", &no_tick_history},
                                                   {"send_buffer", &send_buffer}};
    const auto it = all.find(name);
    return it == all.end() ? nullptr : it->second;
}

}  // namespace millrace::mt5
