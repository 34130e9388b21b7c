#include "tools/millrace/limits_config.h"

#include <charconv>

namespace millrace {
namespace {

constexpr std::int64_t kMillion = 1'000'000;
constexpr DecimalRange kVolume{0, kMillion* kScale};
constexpr DecimalRange kMoney{0, 10'000 * kMillion* kScale};
constexpr DecimalRange kShare{0, kScale};
constexpr std::int64_t kDayMinutes = 24 * 60;

/// "HH:MM" in minutes; -1 if it is none.
std::int64_t minutes_of(const std::string& text) {
    unsigned hours = 24;
    unsigned minutes = 60;
    const char* at = text.data();
    const bool shaped = text.size() == 5 && text[2] == ':' &&
                        std::from_chars(at, at + 2, hours).ptr == at + 2 &&
                        std::from_chars(at + 3, at + 5, minutes).ptr == at + 5;
    return shaped && hours < 24 && minutes < 60 ? std::int64_t{hours} * 60 + minutes : -1;
}

void read_day(ObjectReader& o, LimitSpec& l) {
    std::string begins = "00:00";
    std::int64_t offset = 0;
    o.text("day_begins", begins, {1, 16});
    o.integer("utc_offset_min", offset, {-720, 840});
    const std::int64_t minutes = minutes_of(begins);
    if (minutes < 0) {
        o.complain("day_begins",
                   "is \"" + begins + "\"; HH:MM from \"00:00\" to \"23:59\" is allowed");
        return;
    }
    const std::int64_t utc = (minutes - offset + 2 * kDayMinutes) % kDayMinutes;
    l.day_start_s = static_cast<std::uint32_t>(utc * 60);
}

}  // namespace

void read_account_limits(ObjectReader& o, LimitSpec& l) {
    o.integer("max_positions", l.max_positions, {0, kMillion});
    o.integer("max_symbol_positions", l.max_symbol_positions, {0, kMillion});
    o.decimal("max_volume", l.max_volume.value, kVolume);
    o.decimal("max_symbol_volume", l.max_symbol_volume.value, kVolume);
    o.decimal("daily_loss", l.max_daily_loss.value, kMoney);
    o.decimal("daily_loss_share", l.max_daily_loss_share.value, kShare);
    o.decimal("drawdown", l.max_drawdown.value, kMoney);
    o.decimal("drawdown_share", l.max_drawdown_share.value, kShare);
    o.choice("on_loss", l.action,
             {{"reduce_only", LossAction::ReduceOnly}, {"suspend", LossAction::Suspend}});
    std::int64_t slippage = l.max_slippage;
    o.decimal("max_slippage", slippage, kShare);
    l.max_slippage = static_cast<std::uint32_t>(slippage);
    o.choice("on_slippage", l.on_slippage,
             {{"reduce_only", SlippageAction::ReduceOnly},
              {"suspend", SlippageAction::Suspend},
              {"alert", SlippageAction::Alert},
              {"close", SlippageAction::Close}});
    read_day(o, l);
}

void read_symbol_limits(ObjectReader& o, SymbolLimitSpec& l) {
    o.integer("max_positions", l.max_positions, {0, kMillion});
    o.decimal("max_volume", l.max_volume.value, kVolume);
    o.decimal("max_net_volume", l.max_net_volume.value, kVolume);
}

void read_group_limits(ObjectReader& o, LimitSpec& l) {
    o.integer("max_positions", l.max_positions, {0, kMillion});
    o.decimal("max_volume", l.max_volume.value, kVolume);
}

}  // namespace millrace
