#include "gateway/fix/message.h"

#include <charconv>

namespace millrace::fix {
namespace {

constexpr std::size_t kTrailerBytes = 7;  // 10=nnn and its SOH

/// The data field that a length field announces: its value may contain SOH. 0 = none.
int data_tag_of(int length_tag) noexcept {
    switch (length_tag) {
        case 90: return 91;    // SecureData
        case 93: return 89;    // Signature
        case 95: return 96;    // RawData
        case 212: return 213;  // XmlData
        case 348:              // Encoded...Len and what follows it, pairs of neighbours
        case 350:
        case 352:
        case 354:
        case 356:
        case 358:
        case 360:
        case 362:
        case 364:
        case 445:
        case 618:
        case 621: return length_tag + 1;
        default: return 0;
    }
}

std::optional<std::int64_t> whole(std::string_view text) noexcept {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

}  // namespace

unsigned checksum(std::string_view bytes) noexcept {
    unsigned sum = 0;
    for (const char c : bytes) {
        sum += static_cast<unsigned char>(c);
    }
    return sum % 256;
}

Result<Message> Message::parse(std::string_view bytes) noexcept {
    if (bytes.size() > kBytesMax) {
        return {Errc::BadFrame, "FIX message longer than 64 KiB"};
    }
    Message message;
    message.bytes_ = bytes;
    if (const Status split = message.split(); !split) {
        return split.error();
    }
    if (const Status frame = message.check_frame(); !frame) {
        return frame.error();
    }
    return message;
}

Status Message::split() noexcept {
    std::size_t at = 0;
    int data_tag = 0;
    std::size_t data_bytes = 0;
    while (at < bytes_.size()) {
        const std::size_t equals = bytes_.find('=', at);
        if (equals == std::string_view::npos) {
            return {Errc::BadFrame, "FIX field without ="};
        }
        const auto number = whole(bytes_.substr(at, equals - at));
        if (!number || *number < 1 || *number > 99'999 || bytes_[at] == '0') {
            return {Errc::BadFrame, "FIX tag is no number"};
        }
        const int tag = static_cast<int>(*number);
        const std::size_t value = equals + 1;
        const bool is_data = tag == data_tag && data_bytes <= bytes_.size() - value;
        const std::size_t end = is_data ? value + data_bytes : bytes_.find(kSoh, value);
        if (end >= bytes_.size() || bytes_[end] != kSoh) {
            return {Errc::BadFrame, "FIX field without its end"};
        }
        if (end == value) {
            return {Errc::BadFrame, "FIX field without a value"};
        }
        if (used_ == kFieldsMax) {
            return {Errc::BadFrame, "FIX message with too many fields"};
        }
        fields_[used_++] = {tag, static_cast<std::uint32_t>(value),
                            static_cast<std::uint32_t>(end - value)};
        data_tag = data_tag_of(tag);
        const auto announced = whole(bytes_.substr(value, end - value));
        data_bytes = announced && *announced > 0 ? static_cast<std::size_t>(*announced) : 0;
        data_tag = data_bytes > 0 ? data_tag : 0;
        at = end + 1;
    }
    return ok_status();
}

Status Message::check_frame() const noexcept {
    const bool header = used_ >= 4 && fields_[0].tag == tag::kBeginString &&
                        fields_[1].tag == tag::kBodyLength && fields_[2].tag == tag::kMsgType;
    if (!header || !text(tag::kBeginString).starts_with("FIX")) {
        return {Errc::BadFrame, "FIX message does not begin with 8, 9, 35"};
    }
    const Field& last = fields_[used_ - 1];
    if (last.tag != tag::kCheckSum || last.bytes != 3 || count(tag::kCheckSum) != 1) {
        return {Errc::BadFrame, "FIX message does not end with 10=nnn"};
    }
    const std::size_t body = fields_[1].at + fields_[1].bytes + 1;
    const std::size_t trailer = bytes_.size() - kTrailerBytes;
    const auto length = integer(tag::kBodyLength);
    if (!length || *length < 0 || static_cast<std::size_t>(*length) != trailer - body) {
        return {Errc::BadFrame, "FIX BodyLength is not the body's"};
    }
    const auto sum = integer(tag::kCheckSum);
    if (!sum || *sum != static_cast<std::int64_t>(checksum(bytes_.substr(0, trailer)))) {
        return {Errc::BadChecksum, "FIX CheckSum is not the message's"};
    }
    return ok_status();
}

std::string_view Message::text(int tag) const noexcept {
    for (std::size_t i = 0; i < used_; ++i) {
        if (fields_[i].tag == tag) {
            return bytes_.substr(fields_[i].at, fields_[i].bytes);
        }
    }
    return {};
}

std::size_t Message::count(int tag) const noexcept {
    std::size_t n = 0;
    for (std::size_t i = 0; i < used_; ++i) {
        n += fields_[i].tag == tag ? 1 : 0;
    }
    return n;
}

char Message::character(int tag) const noexcept {
    const std::string_view value = text(tag);
    return value.size() == 1 ? value[0] : '\0';
}

std::optional<std::int64_t> Message::integer(int tag) const noexcept {
    return whole(text(tag));
}

}  // namespace millrace::fix
