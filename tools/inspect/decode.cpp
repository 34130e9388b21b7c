#include "tools/inspect/decode.h"

#include <fmt/core.h>

#include <cstring>

#include "tools/inspect/describe.h"
#include "tools/inspect/rings.h"

namespace millrace::inspect {
namespace {

using nlohmann::ordered_json;
using Records = Result<std::vector<DecodedRecord>>;

/// A session ring's slots hold more than the command (gateway/session_queue.h).
template <class T>
ordered_json describe_slot(const T& record, RingKind kind, const Names& names) {
    if constexpr (std::is_same_v<T, OrderSlot>) {
        if (kind == RingKind::Session) {
            SessionSlot slot;
            std::memcpy(static_cast<void*>(&slot), &record, sizeof slot);
            return describe(slot, names);
        }
    }
    return describe(record, names);
}

template <class T>
std::vector<std::byte> bytes_of(const T& record) {
    std::vector<std::byte> out(sizeof record);
    std::memcpy(out.data(), &record, sizeof record);
    return out;
}

template <class T>
Records decode(const Segment& segment, std::uint32_t index, const RingView<T>& ring,
               const Cursors& at, std::uint64_t from, std::uint64_t to) {
    const Names names{segment};
    const RingKind kind = segment.ring_entry(index).kind;
    std::vector<DecodedRecord> out;
    for (std::uint64_t n = from; n <= to; ++n) {
        T record{};
        if (copy_record(ring, n, record)) {
            out.push_back({n, n <= at.read, describe_slot(record, kind, names), bytes_of(record)});
        }
    }
    return out;
}

/// Calls `f(ring, cursors)` -> Records.
template <class F>
Records with_cursors(const Segment& segment, std::uint32_t index, F f) {
    return with_ring<Records>(segment, index, Records{Errc::BadLayout, "ring of an unknown kind"},
                              [&](const auto& ring) -> Records {
                                  const auto at = read_cursors(ring);
                                  if (!at) {
                                      return at.error();
                                  }
                                  return f(ring, at.value());
                              });
}

void flatten(const ordered_json& fields, std::string& out) {
    for (const auto& [name, value] : fields.items()) {
        if (value.is_object()) {
            flatten(value, out);
        } else if (!value.is_null()) {
            out += (out.empty() ? "" : " ") + name + "=" +
                   (value.is_string() ? value.get<std::string>() : value.dump());
        }
    }
}

}  // namespace

Records decode_ring(const Segment& segment, std::uint32_t index, std::uint64_t last) {
    return with_cursors(segment, index, [&](const auto& ring, const Cursors& at) {
        const std::uint64_t count = std::min({last, at.written, ring.capacity()});
        return decode(segment, index, ring, at, at.written - count + 1, at.written);
    });
}

Records decode_range(const Segment& segment, std::uint32_t index, std::uint64_t from,
                     std::uint64_t count) {
    return with_cursors(segment, index, [&](const auto& ring, const Cursors& at) -> Records {
        const std::uint64_t oldest =
            at.written > ring.capacity() ? at.written - ring.capacity() + 1 : 1;
        const std::uint64_t first = std::max(from, oldest);
        if (first > at.written || count == 0) {
            return std::vector<DecodedRecord>{};
        }
        const std::uint64_t to = at.written - first < count ? at.written : first + count - 1;
        return decode(segment, index, ring, at, first, to);
    });
}

Result<std::uint64_t> last_number(const Segment& segment, std::uint32_t index) {
    using Out = Result<std::uint64_t>;
    return with_ring<Out>(segment, index, Out{Errc::BadLayout, "ring of an unknown kind"},
                          [](const auto& ring) -> Out {
                              const auto at = read_cursors(ring);
                              if (!at) {
                                  return at.error();
                              }
                              return at.value().written;
                          });
}

std::string flat_text(const ordered_json& fields) {
    std::string out;
    flatten(fields, out);
    return out;
}

std::string decimal(std::int64_t scaled) {
    const auto magnitude =
        scaled < 0 ? 0 - static_cast<std::uint64_t>(scaled) : static_cast<std::uint64_t>(scaled);
    const auto scale = static_cast<std::uint64_t>(kScale);
    std::string out =
        fmt::format("{}{}.{:08}", scaled < 0 ? "-" : "", magnitude / scale, magnitude % scale);
    out.erase(out.find_last_not_of('0') + 1);
    if (out.back() == '.') {
        out.pop_back();
    }
    return out;
}

std::string hex_text(const std::vector<std::byte>& bytes) {
    constexpr std::size_t kPerLine = 16;
    std::string out;
    for (std::size_t at = 0; at < bytes.size(); at += kPerLine) {
        std::string hex;
        std::string ascii;
        for (std::size_t i = at; i < std::min(at + kPerLine, bytes.size()); ++i) {
            const auto c = std::to_integer<unsigned>(bytes[i]);
            hex += fmt::format("{:02x} ", c);
            ascii += c >= 0x20 && c < 0x7F ? static_cast<char>(c) : '.';
        }
        out += fmt::format("    {:04x}  {:<48} |{}|\n", at, hex, ascii);
    }
    return out;
}

}  // namespace millrace::inspect
