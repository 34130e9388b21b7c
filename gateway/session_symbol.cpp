// Session, the part that holds what the broker says of a symbol against the configuration.
#include "gateway/session.h"

#include <cstdio>
#include <cstring>

namespace millrace {
namespace {

constexpr std::uint8_t kTradeModeFull = 4;
constexpr const char* kFurther =
    "ALERT further symbols are configured in another way than the broker has them: sizes and "
    "prices "
    "are wrong until both agree. See the terminals' specification";
static_assert(std::char_traits<char>::length(kFurther) < sizeof ErrorEntry::text);
constexpr const char* kFurtherRestricted =
    "further accounts' brokers let a symbol be traded to close only, one way only or not at all; "
    "which: the terminals' specification";
static_assert(std::char_traits<char>::length(kFurtherRestricted) < sizeof ErrorEntry::text);

struct Difference {
    const char* what = nullptr;  // nullptr = there is none
    double told = 0;
    double configured = 0;
};

/// The first and worst one. What the broker allows more of than is used is none.
Difference difference_of(const bridge::Symbol& t, const SymbolSpec& c) noexcept {
    constexpr double kUnit = static_cast<double>(kScale);
    const Difference fields[] = {
        {"contract size", static_cast<double>(t.contract_size) / kUnit,
         static_cast<double>(c.contract_size) / kUnit},
        {"digits", static_cast<double>(t.digits), static_cast<double>(c.digits)},
        {"tick size", static_cast<double>(t.tick_size) / kUnit,
         static_cast<double>(c.tick_size.value) / kUnit},
        {"smallest volume", static_cast<double>(t.volume_min) / kUnit,
         static_cast<double>(c.volume_min.value) / kUnit},
        {"volume step", static_cast<double>(t.volume_step) / kUnit,
         static_cast<double>(c.volume_step.value) / kUnit},
    };
    const bool differs[] = {t.contract_size != c.contract_size, t.digits != c.digits,
                            t.tick_size != c.tick_size.value, t.volume_min > c.volume_min.value,
                            t.volume_step <= 0 || c.volume_step.value % t.volume_step != 0};
    for (std::size_t i = 0; i < std::size(fields); ++i) {
        if (differs[i]) {
            return fields[i];
        }
    }
    if (t.volume_max < c.volume_max.value) {
        return {"largest volume", static_cast<double>(t.volume_max) / kUnit,
                static_cast<double>(c.volume_max.value) / kUnit};
    }
    return {};
}

}  // namespace

Status Session::on_symbol(const wire::Frame& frame) noexcept {
    const auto told = frame.as<bridge::Symbol>();
    if (!told) {
        return told.error();
    }
    ++context_->stats.symbols;
    Text<16> name;
    std::memcpy(name.bytes, told.value().symbol, sizeof name.bytes);
    const SymbolId id = symbols_.find(context_->segment.names(), name);
    SymbolSpec configured;
    if (id.value != kNoId && context_->find_symbol &&
        context_->find_symbol(symbols_.canonical(name), configured)) {
        compare(id, told.value(), configured);
    }
    return ok_status();
}

/// Told once, until they have agreed in between. A restriction is a note beside it: it hides no
/// difference that comes after it.
void Session::compare(SymbolId id, const bridge::Symbol& told,
                      const SymbolSpec& configured) noexcept {
    const Difference d = difference_of(told, configured);
    const bool differs = d.what != nullptr;
    const bool restricted = told.trade_mode < kTradeModeFull;
    const std::bitset<kNamesPerKind>& said = differs ? differing_ : restricted_;
    const bool known = said.test(id.value);
    differing_.set(id.value, differs);
    restricted_.set(id.value, restricted && (!differs || restricted_.test(id.value)));
    if (known || !(differs || restricted)) {
        return;
    }
    char text[sizeof ErrorEntry::text];
    const char* const name = configured.name.bytes;
    constexpr int kNameMax = sizeof configured.name.bytes;
    if (!differs && context_->stats.restricted_named >= kRestrictedNamedMax) {
        context_->segment.report_error("broker", kFurtherRestricted);
        return;
    }
    if (!differs) {
        ++context_->stats.restricted_named;
        static constexpr const char* kModes[] = {"not at all", "long only", "short only",
                                                 "to close only"};
        std::snprintf(text, sizeof text, "account %u: the broker lets %.*s be traded %s",
                      account_.value, kNameMax, name, kModes[told.trade_mode]);
        context_->segment.report_error("broker", text);
        return;
    }
    if (context_->stats.differing_named >= kDifferingNamedMax) {
        context_->segment.report_error("broker", kFurther);
        return;
    }
    ++context_->stats.differing_named;
    std::snprintf(text, sizeof text,
                  "ALERT %.*s, account %u: the broker's %s is %.10g, configured %.10g: sizes or "
                  "prices are wrong until both agree",
                  kNameMax, name, account_.value, d.what, d.told, d.configured);
    context_->segment.report_error("broker", text);
}

}  // namespace millrace
