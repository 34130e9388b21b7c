#include "gateway/fix/incoming.h"

namespace millrace::fix {
namespace {

/// Reads fields of one message and remembers the first fault.
class Reader {
public:
    explicit Reader(const Message& message) noexcept : message_{&message} {}

    [[nodiscard]] std::string_view text(int tag) const noexcept { return message_->text(tag); }

    char required(int tag, const char* what) noexcept {
        const char c = message_->character(tag);
        if (c == '\0' || message_->count(tag) != 1) {
            blame(what);
        }
        return c;
    }
    /// 0 if absent.
    std::int64_t decimal(int tag, const char* what, bool required = false) noexcept {
        const std::string_view value = text(tag);
        if (value.empty()) {
            if (required) {
                blame(what);
            }
            return 0;
        }
        const auto number = parse_decimal(value);
        if (!number || message_->count(tag) != 1) {
            blame(what);
        }
        return number.value_or(0);
    }
    /// -1 if absent.
    std::int64_t integer(int tag, const char* what) noexcept {
        if (!message_->has(tag)) {
            return -1;
        }
        const auto number = message_->integer(tag);
        if (!number || *number < 0) {
            blame(what);
        }
        return number.value_or(-1);
    }
    /// Reason codes beyond what fits are as unknown as any that is not in the table.
    int reason(int tag, const char* what) noexcept {
        const std::int64_t number = integer(tag, what);
        return number > 0xFFFF ? 0xFFFF : static_cast<int>(number);
    }
    void once(int tag, const char* what) noexcept {
        if (message_->count(tag) > 1) {
            blame(what);
        }
    }
    void blame(const char* what) noexcept { fault_ = fault_ == nullptr ? what : fault_; }
    [[nodiscard]] const char* fault() const noexcept { return fault_; }

private:
    const Message* message_;
    const char* fault_ = nullptr;
};

void read_ids(Reader& reader, Incoming& in) noexcept {
    reader.once(tag::kClOrdId, "ClOrdID(11) twice");
    reader.once(tag::kOrigClOrdId, "OrigClOrdID(41) twice");
    reader.once(tag::kOrderId, "OrderID(37) twice");
    in.cl_ord_id = reader.text(tag::kClOrdId);
    in.orig_cl_ord_id = reader.text(tag::kOrigClOrdId);
    in.order_id = reader.text(tag::kOrderId);
}

void read_execution(Reader& reader, const Message& message, Incoming& in) noexcept {
    read_ids(reader, in);
    reader.once(tag::kExecId, "ExecID(17) twice");
    in.exec_type = reader.required(tag::kExecType, "ExecType(150)");
    in.exec_trans_type = message.character(tag::kExecTransType);
    in.ord_status = reader.required(tag::kOrdStatus, "OrdStatus(39)");
    in.side = reader.required(tag::kSide, "Side(54)");
    in.cum_qty = reader.decimal(tag::kCumQty, "CumQty(14)", true);
    in.order_qty = reader.decimal(tag::kOrderQty, "OrderQty(38)");
    in.last_qty = reader.decimal(tag::kLastQty, "LastQty(32)");
    in.last_px = reader.decimal(tag::kLastPx, "LastPx(31)");
    in.avg_px = reader.decimal(tag::kAvgPx, "AvgPx(6)");
    if (in.cum_qty < 0 || in.order_qty < 0 || in.last_qty < 0) {
        reader.blame("a negative quantity");
    }
    if (in.last_px < 0 || in.avg_px < 0) {
        reader.blame("a negative price");  // spreads have them; what we trade has not
    }
    in.reason = reader.reason(tag::kOrdRejReason, "OrdRejReason(103)");
    in.exec_id = reader.text(tag::kExecId);
    if (in.exec_id == "0") {
        in.exec_id = {};
    }
    in.position_id = reader.text(tag::kPosMaintRptId);
    if (in.position_id.empty()) {
        in.position_id = reader.text(tag::kFxcmPosId);
    }
    in.symbol = reader.text(tag::kSymbol);
    if (in.symbol.empty()) {
        in.symbol = reader.text(tag::kSecurityId);
    }
    // Its absence or another format costs only the broker's time of the deal.
    in.transact_time = parse_utc(reader.text(tag::kTransactTime)).value_or(Nanos{});
}

}  // namespace

Result<Incoming> decode(const Message& message) noexcept {
    Reader reader{message};
    Incoming in;
    in.poss_dup = message.character(tag::kPossDupFlag) == 'Y';
    in.text = message.text(tag::kText);
    const std::string_view type = message.type();
    if (type == "8") {
        in.kind = IncomingKind::Execution;
        read_execution(reader, message, in);
    } else if (type == "9") {
        in.kind = IncomingKind::CancelReject;
        read_ids(reader, in);
        in.ord_status = reader.required(tag::kOrdStatus, "OrdStatus(39)");
        in.response_to = reader.required(tag::kCxlRejResponseTo, "CxlRejResponseTo(434)");
        in.reason = reader.reason(tag::kCxlRejReason, "CxlRejReason(102)");
    } else if (type == "j") {
        in.kind = IncomingKind::BusinessReject;
        in.cl_ord_id = message.text(tag::kBusinessRejectRefId);
        in.reason = reader.reason(tag::kBusinessRejectReason, "BusinessRejectReason(380)");
        in.ref_msg_type = message.text(tag::kRefMsgType);
        in.ref_seq = reader.integer(tag::kRefSeqNum, "RefSeqNum(45)");
    } else if (type == "3") {
        in.kind = IncomingKind::SessionReject;
        in.reason = reader.reason(tag::kSessionRejectReason, "SessionRejectReason(373)");
        in.ref_msg_type = message.text(tag::kRefMsgType);
        in.ref_seq = reader.integer(tag::kRefSeqNum, "RefSeqNum(45)");
    } else if (type == "5") {
        in.kind = IncomingKind::Logout;
    }
    if (reader.fault() != nullptr) {
        return {Errc::BadInput, reader.fault()};
    }
    return in;
}

}  // namespace millrace::fix
