// One FIX message, tag=value fields separated by SOH (reference: FIX 4.4 volume 2, "Standard
// Message Header" and "CheckSum calculation"). A view: it does not own the bytes.
//
//     8=FIX.4.4 | 9=BodyLength | 35=MsgType | ... body ... | 10=CheckSum |
//                               \------- BodyLength -------/
#pragma once

#include "core/result.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace millrace::fix {

inline constexpr char kSoh = '\x01';

/// Tags that this folder reads or writes; names are the FIX dictionary's.
namespace tag {
inline constexpr int kAccount = 1;
inline constexpr int kAvgPx = 6;
inline constexpr int kBeginString = 8;
inline constexpr int kBodyLength = 9;
inline constexpr int kCheckSum = 10;
inline constexpr int kClOrdId = 11;
inline constexpr int kCumQty = 14;
inline constexpr int kExecId = 17;
inline constexpr int kExecTransType = 20;
inline constexpr int kHandlInst = 21;
inline constexpr int kSecurityIdSource = 22;
inline constexpr int kLastPx = 31;
inline constexpr int kLastQty = 32;
inline constexpr int kMsgSeqNum = 34;
inline constexpr int kMsgType = 35;
inline constexpr int kOrderId = 37;
inline constexpr int kOrderQty = 38;
inline constexpr int kOrdStatus = 39;
inline constexpr int kOrdType = 40;
inline constexpr int kOrigClOrdId = 41;
inline constexpr int kPossDupFlag = 43;
inline constexpr int kPrice = 44;
inline constexpr int kRefSeqNum = 45;
inline constexpr int kSecurityId = 48;
inline constexpr int kSide = 54;
inline constexpr int kSymbol = 55;
inline constexpr int kText = 58;
inline constexpr int kTimeInForce = 59;
inline constexpr int kTransactTime = 60;
inline constexpr int kStopPx = 99;
inline constexpr int kCxlRejReason = 102;
inline constexpr int kOrdRejReason = 103;
inline constexpr int kExecType = 150;
inline constexpr int kRefMsgType = 372;
inline constexpr int kSessionRejectReason = 373;
inline constexpr int kBusinessRejectRefId = 379;
inline constexpr int kBusinessRejectReason = 380;
inline constexpr int kCxlRejResponseTo = 434;
inline constexpr int kMassStatusReqId = 584;
inline constexpr int kMassStatusReqType = 585;
inline constexpr int kPosMaintRptId = 721;
inline constexpr int kFxcmPosId = 9041;
}  // namespace tag

/// Threads: any, one at a time. No allocation.
class Message {
public:
    static constexpr std::size_t kFieldsMax = 512;
    static constexpr std::size_t kBytesMax = 64 * 1024;

    /// Checks frame, BodyLength and CheckSum and finds the fields. `bytes` must outlive the result.
    /// @return BadFrame and what is wrong: no BeginString, BodyLength or MsgType in their places, a
    /// tag that is no number, an empty value, bytes after the trailer, too many fields or bytes;
    /// BadChecksum.
    [[nodiscard]] static Result<Message> parse(std::string_view bytes) noexcept;

    /// Value of the first field with this tag; empty if there is none (FIX has no empty values).
    [[nodiscard]] std::string_view text(int tag) const noexcept;
    [[nodiscard]] bool has(int tag) const noexcept { return !text(tag).empty(); }
    /// Fields with this tag: more than one only in repeating groups.
    [[nodiscard]] std::size_t count(int tag) const noexcept;
    /// The one character of a char field; '\0' if absent or longer.
    [[nodiscard]] char character(int tag) const noexcept;
    /// Value as a whole number, leading zeros allowed; nothing if absent or not one.
    [[nodiscard]] std::optional<std::int64_t> integer(int tag) const noexcept;
    [[nodiscard]] std::string_view type() const noexcept { return text(tag::kMsgType); }
    [[nodiscard]] std::size_t fields() const noexcept { return used_; }
    /// Tag and value of a field by its place, for repeating groups. @param i below fields().
    [[nodiscard]] std::pair<int, std::string_view> field(std::size_t i) const noexcept {
        return {fields_[i].tag, bytes_.substr(fields_[i].at, fields_[i].bytes)};
    }

private:
    struct Field {
        int tag = 0;
        std::uint32_t at = 0;
        std::uint32_t bytes = 0;
    };
    [[nodiscard]] Status split() noexcept;
    [[nodiscard]] Status check_frame() const noexcept;

    std::string_view bytes_;
    std::array<Field, kFieldsMax> fields_{};
    std::size_t used_ = 0;
};

/// CheckSum(10) of `bytes`: their sum modulo 256.
[[nodiscard]] unsigned checksum(std::string_view bytes) noexcept;

}  // namespace millrace::fix
