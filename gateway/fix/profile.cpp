#include "gateway/fix/profile.h"

#include <array>

namespace millrace::fix {
namespace {

// cTrader writes the error codes of its Open API before a colon into Text(58).
constexpr std::array kCTraderTexts{
    TextCode{"NOT_ENOUGH_MONEY", 10019},   TextCode{"MARKET_CLOSED", 10018},
    TextCode{"TRADING_BAD_VOLUME", 10014}, TextCode{"TRADING_BAD_STOPS", 10016},
    TextCode{"TRADING_BAD_PRICES", 10015}, TextCode{"TRADING_DISABLED", 10017},
    TextCode{"NO_QUOTES", 10021},          TextCode{"POSITION_NOT_FOUND", 10036},
};
// FXCM passes its database's numbers on.
constexpr std::array kFxcmTexts{
    TextCode{"ORA-20113", 10019},  // insufficient margin in session
    TextCode{"ORA-20143", 10015},  // order price too far from market price
};

constexpr std::array kProfiles{
    Profile{.name = "generic", .equity = true},
    // Numbers for symbols; time in force follows the order type; both sides reset at each logon.
    Profile{.name = "ctrader",
            .collar = CollarBy::None,
            .close = CloseBy::PosMaintRptId,
            .market_tif = '\0',
            .sends_account = false,
            .sends_handl_inst = false,
            .orig_order_id = true,
            .reset_on_logon = true,
            .quotes = false,  // a QUOTE session of its own
            .texts = kCTraderTexts},
    Profile{.name = "lmax",
            .symbol = SymbolTag::SecurityId,
            .sends_account = false,
            .sends_handl_inst = false,
            .mass_status = false,
            .quotes = false},  // at another address
    // A load-balanced cluster: numbers start anew at each logon. Its CollateralReport has a balance
    // and no equity.
    Profile{.name = "fxcm",
            .collar = CollarBy::StopLimit,
            .close = CloseBy::FxcmPosId,
            .orig_order_id = true,
            .reset_on_logon = true,
            .texts = kFxcmTexts},
};

}  // namespace

std::span<const Profile> profiles() noexcept {
    return kProfiles;
}

const Profile* find_profile(std::string_view name) noexcept {
    for (const Profile& profile : kProfiles) {
        if (profile.name == name) {
            return &profile;
        }
    }
    return nullptr;
}

}  // namespace millrace::fix
