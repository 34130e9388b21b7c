// Session, the part that holds what the broker says of the account against the configuration.
#include "gateway/session.h"

#include <cstdio>

namespace millrace {
namespace {

constexpr const char* kFurther =
    "ALERT further accounts are of another currency, kind or leverage than configured: compare "
    "their terminals with accounts[]";
static_assert(std::char_traits<char>::length(kFurther) < sizeof ErrorEntry::text);
constexpr const char* kFurtherFifo =
    "further accounts close positions in the order of their opening alone: others are refused "
    "(10045)";

char upper(char c) noexcept {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

/// As people write them: usd is USD.
bool is_same_money(const char (&a)[8], const char (&b)[8]) noexcept {
    for (std::size_t i = 0; i < sizeof a; ++i) {
        if (upper(a[i]) != upper(b[i])) {
            return false;
        }
    }
    return true;
}

const char* word_of(AccountFacts::Kind kind) noexcept {
    static constexpr const char* kWords[] = {"demo", "contest", "real"};
    return kind < AccountFacts::Kind::Any ? kWords[static_cast<std::size_t>(kind)] : "unknown";
}

}  // namespace

/// Told once, until it has been as configured in between. @param text for the operator, @param
/// further in its place once so many accounts have been named.
void Session::differ(unsigned fact, bool differs, const char* text, const char* further) noexcept {
    const bool known = (differing_facts_ & fact) != 0;
    differing_facts_ = differs ? differing_facts_ | fact : differing_facts_ & ~fact;
    if (!differs || known) {
        return;
    }
    // Notes must not use up the names of alerts.
    std::uint64_t& count = fact == kFifo ? context_->stats.fifo_named : context_->stats.facts_named;
    const bool named = count < kFactsNamedMax;
    count += named ? 1U : 0U;
    context_->segment.report_error("broker", named ? text : further);
}

Status Session::on_account(const wire::Frame& frame) noexcept {
    const auto body = frame.as<bridge::Account>();
    if (!body) {
        return body.error();
    }
    const bridge::Account& told = body.value();
    ++context_->stats.accounts;
    has_facts_ = true;
    tells_holdings_ = true;  // whoever knows this frame knows those, too
    char text[sizeof ErrorEntry::text];
    const unsigned account = account_.value;
    constexpr int kNameMax = sizeof told.currency;

    const bool other_money =
        expected_.currency != Text<8>{} && !is_same_money(told.currency, expected_.currency.bytes);
    std::snprintf(text, sizeof text,
                  "ALERT account %u is kept in %.*s, configured in %.*s: its limits in money would "
                  "be wrong. No entries until both agree",
                  account, kNameMax, told.currency, kNameMax, expected_.currency.bytes);
    differ(kCurrency, other_money, text, kFurther);

    const auto kind = static_cast<AccountFacts::Kind>(told.trade_mode);
    std::snprintf(text, sizeof text,
                  "ALERT account %u is a %s account, configured as %s (trade_mode): no entries "
                  "until both agree. Is the right one logged in?",
                  account, word_of(kind), word_of(expected_.kind));
    differ(kKind, expected_.kind != AccountFacts::Kind::Any && kind != expected_.kind, text,
           kFurther);

    std::snprintf(text, sizeof text,
                  "ALERT account %u has a leverage of 1:%u, configured is 1:%u: it needs another "
                  "margin than was planned",
                  account, told.leverage, expected_.leverage);
    differ(kLeverage, expected_.leverage != 0 && told.leverage != expected_.leverage, text,
           kFurther);

    std::snprintf(text, sizeof text,
                  "account %u closes positions in the order of their opening alone: others are "
                  "refused (10045)",
                  account);
    differ(kFifo, (told.flags & bridge::kAccountClosesFifo) != 0, text, kFurtherFifo);
    return ok_status();
}

/// SYNC_DONE has come. What kind of account it has to be was configured on purpose: one whose
/// executor does not tell is not taken for it. The currency that was told before stands: silence
/// unsays nothing.
void Session::miss_facts() noexcept {
    if (has_facts_) {
        return;
    }
    differing_facts_ &= ~(kLeverage | kFifo);
    char text[sizeof ErrorEntry::text];
    std::snprintf(text, sizeof text,
                  "ALERT account %u is configured as %s (trade_mode), and its executor does not "
                  "tell: no entries. Update the Expert Advisor, or take it out",
                  account_.value, word_of(expected_.kind));
    differ(kKind, expected_.kind != AccountFacts::Kind::Any, text, kFurther);
}

}  // namespace millrace
