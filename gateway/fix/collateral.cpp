#include "gateway/fix/collateral.h"

#include "gateway/fix/values.h"

namespace millrace::fix {
namespace {

constexpr int kSubscriptionRequestType = 263;
constexpr int kTotalNetValue = 900;
constexpr int kCashOutstanding = 901;
constexpr int kCollInquiryId = 909;

}  // namespace

std::uint32_t collateral_inquiry(std::string_view id, std::string_view account,
                                 Body& body) noexcept {
    body.start("BB");
    body.add(kCollInquiryId, id);
    if (!account.empty()) {
        body.add(tag::kAccount, account);
    }
    body.add(kSubscriptionRequestType, '0');  // one report
    return body.usable() ? 0 : 10013;
}

Result<Collateral> take_collateral(const Message& message, std::string_view account) noexcept {
    const std::string_view whose = message.text(tag::kAccount);
    if (message.type() != "BA" || (!account.empty() && !whose.empty() && whose != account)) {
        return {Errc::NotFound, "no report about this account"};
    }
    const auto equity = parse_decimal(message.text(kTotalNetValue));
    if (!equity || message.count(kTotalNetValue) != 1) {
        return {Errc::BadInput, "TotalNetValue(900)"};
    }
    Collateral told{*equity, *equity};
    if (message.has(kCashOutstanding)) {
        const auto balance = parse_decimal(message.text(kCashOutstanding));
        if (!balance || message.count(kCashOutstanding) != 1) {
            return {Errc::BadInput, "CashOutstanding(901)"};
        }
        told.balance = *balance;
    }
    return told;
}

}  // namespace millrace::fix
