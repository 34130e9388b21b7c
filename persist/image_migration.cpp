#include "persist/image_migration.h"

#include "core/engine.h"

#include <cstring>

namespace millrace {
namespace {

/// The number of the format in an image's header, and where that of the accounts stands.
constexpr std::size_t kFormatAt = 40;
constexpr std::size_t kAccountsAt = 8;
/// The size of Globals in the header, and where they begin: behind them stands how many places of
/// the table of orders were ever used.
constexpr std::size_t kGlobalsBytesAt = 36;
constexpr std::size_t kGlobalsAt = 48;

template <class Row>
void append(std::vector<std::byte>& image, std::size_t count) {
    const Row row;
    const std::size_t at = image.size();
    image.resize(at + count * sizeof row);
    for (std::size_t n = 0; n < count; ++n) {
        std::memcpy(image.data() + at + n * sizeof row, &row, sizeof row);
    }
}

void set_format(std::vector<std::byte>& image, std::uint32_t format) {
    std::memcpy(image.data() + kFormatAt, &format, sizeof format);
}

// As they are in formats 3 to 6: who changes them copies these sizes here, and adds a step.
static_assert(sizeof(AccountRisk) == 176 && sizeof(GroupRisk) == 88);
static_assert(sizeof(SymbolRisk) == 48 && sizeof(SegmentLoss) == 8);
static_assert(sizeof(CurrencyState) == 72 && sizeof(AccountGuard) == 208);
static_assert(sizeof(AccountOutcome) == 48);
static_assert(sizeof(GroupGuard) == 104 && sizeof(SymbolGuard) == 112);
static_assert(sizeof(AccountSides) == 72 && sizeof(AccountStandby) == 16);
static_assert(sizeof(EndedCloses) == 8 + 512 * 112);

std::uint32_t number_at(const std::vector<std::byte>& image, std::size_t at) {
    std::uint32_t number = 0;
    if (at + sizeof number <= image.size()) {
        std::memcpy(&number, image.data() + at, sizeof number);
    }
    return number;
}

/// Format 3 has two tables more, at its end: without limits, and with counts that load() makes.
Status add_risk_tables(std::vector<std::byte>& image) {
    append<AccountRisk>(image, number_at(image, kAccountsAt));
    append<GroupRisk>(image, kGroupsMax);
    set_format(image, 3);
    return ok_status();
}

/// Format 4 has limits of symbols, the same way, and knows when a segment was lost; what was asked
/// about before needs that no more.
Status add_symbols_and_loss(std::vector<std::byte>& image) {
    append<SymbolRisk>(image, kSymbolsMax);
    append<SegmentLoss>(image, 1);
    set_format(image, 4);
    return ok_status();
}

/// Format 5 knows currencies, limits in money and hours, and what brokers' answers have led to;
/// there was none of it, so no order has a value.
Status add_guards(std::vector<std::byte>& image) {
    const std::uint32_t orders = number_at(image, kGlobalsAt + number_at(image, kGlobalsBytesAt));
    if (orders > image.size() / sizeof(Order)) {
        return {Errc::BadLayout, "its table of orders is larger than the image"};
    }
    append<CurrencyState>(image, kCurrenciesMax);
    append<AccountGuard>(image, number_at(image, kAccountsAt));
    append<GroupGuard>(image, kGroupsMax);
    append<SymbolGuard>(image, kSymbolsMax);
    append<Money>(image, orders);
    append<AccountOutcome>(image, number_at(image, kAccountsAt));
    set_format(image, 5);
    return ok_status();
}

/// Format 6 knows sides that a broker has switched off, when accounts were last waited for, and
/// closes that are over: of those before it nothing is left to be told.
Status add_late_closes(std::vector<std::byte>& image) {
    append<AccountSides>(image, number_at(image, kAccountsAt));
    append<AccountStandby>(image, number_at(image, kAccountsAt));
    append<EndedCloses>(image, 1);
    set_format(image, 6);
    return ok_status();
}

struct Step {
    std::uint32_t from;
    std::uint32_t to;
    Status (*convert)(std::vector<std::byte>& image);
};

/// A new kImageFormat comes with a step from the one before it; steps are never removed.
constexpr Step kSteps[] = {
    {2, 3, add_risk_tables},
    {3, 4, add_symbols_and_loss},
    {4, 5, add_guards},
    {5, 6, add_late_closes},
};

}  // namespace

Status migrate_image(std::vector<std::byte>& image, std::string& message) {
    std::uint32_t format = image_format(image.data(), image.size());
    for (const Step& step : kSteps) {
        if (step.from != format) {
            continue;
        }
        if (auto done = step.convert(image); !done) {
            message = std::string{"image of format "} + std::to_string(step.from) + ": " +
                      done.error().what;
            return done;
        }
        format = step.to;
    }
    if (format != kImageFormat) {
        message = "snapshot image of format " + std::to_string(format) + ", this build has " +
                  std::to_string(kImageFormat) +
                  " and knows no way between them; use the build that made it";
        return {Errc::BadVersion, "snapshot image of another format"};
    }
    return ok_status();
}

}  // namespace millrace
