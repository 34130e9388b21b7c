#include "core/retcode.h"

namespace millrace {

RetcodeClass classify(std::uint32_t code) noexcept {
    switch (code) {
        case 10008:  // PLACED
        case 10009:  // DONE
        case 10025:  // NO_CHANGES
        case 10036:  // POSITION_CLOSED: a repeated close is as good as done
            return RetcodeClass::Ok;
        case 10010:  // DONE_PARTIAL
            return RetcodeClass::Part;
        case 10004:  // REQUOTE
        case 10020:  // PRICE_CHANGED
        case 10021:  // PRICE_OFF
            return RetcodeClass::Reprice;
        case 10023:  // ORDER_CHANGED
        case 10024:  // TOO_MANY_REQUESTS
        case 10028:  // LOCKED
        case 10029:  // FROZEN
            return RetcodeClass::Backoff;
        case 10018:  // MARKET_CLOSED
            return RetcodeClass::Queue;
        case 10006:  // REJECT
        case 10007:  // CANCEL
        case 10013:  // INVALID
        case 10014:  // INVALID_VOLUME
        case 10015:  // INVALID_PRICE
        case 10016:  // INVALID_STOPS
        case 10019:  // NO_MONEY
        case 10022:  // INVALID_EXPIRATION
        case 10030:  // INVALID_FILL
        case 10032:  // ONLY_REAL
        case 10033:  // LIMIT_ORDERS
        case 10034:  // LIMIT_VOLUME
        case 10035:  // INVALID_ORDER
        case 10038:  // INVALID_CLOSE_VOLUME
        case 10040:  // LIMIT_POSITIONS
        case 10041:  // REJECT_CANCEL
        case 10042:  // LONG_ONLY
        case 10043:  // SHORT_ONLY
        case 10044:  // CLOSE_ONLY
        case 10045:  // FIFO_CLOSE
        case 10046:  // HEDGE_PROHIBITED
            return RetcodeClass::Reject;
        case 10017:  // TRADE_DISABLED
        case 10026:  // SERVER_DISABLES_AT
        case 10027:  // CLIENT_DISABLES_AT
            return RetcodeClass::Suspend;
        default:  // 10011 ERROR, 10012 TIMEOUT, 10031 CONNECTION, 10039 CLOSE_ORDER_EXIST, unlisted
            return RetcodeClass::Recon;
    }
}

}  // namespace millrace
