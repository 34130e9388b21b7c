// The whole state as bytes: hash, snapshot image, and back.
#include "core/engine.h"

#include <algorithm>

namespace millrace {
namespace {

constexpr std::uint64_t kImageMagic = 0x32474D4953524C4DULL;  // "MLRSIMG2"

/// Head of a snapshot image: an image of other capacities or layouts is refused.
struct ImageHeader {
    std::uint64_t magic = kImageMagic;
    std::uint32_t accounts = 0;
    std::uint32_t members = 0;
    std::uint32_t orders = 0;
    std::uint32_t signals = 0;
    std::uint32_t order_bytes = sizeof(Order);
    std::uint32_t signal_bytes = sizeof(SignalEntry);
    std::uint32_t account_bytes = sizeof(Account);
    std::uint32_t globals_bytes = sizeof(Globals);
    std::uint32_t format = kImageFormat;
    std::uint32_t reserved = 0;
    friend bool operator==(const ImageHeader&, const ImageHeader&) = default;
};

ImageHeader header_of(const Capacity& c) noexcept {
    ImageHeader h;
    h.accounts = c.accounts;
    h.members = c.members;
    h.orders = c.orders;
    h.signals = c.signals;
    return h;
}

std::uint64_t hash_bytes(std::uint64_t hash, const void* data, std::size_t bytes) noexcept {
    const auto* p = static_cast<const unsigned char*>(data);
    for (; bytes >= 8; bytes -= 8, p += 8) {
        std::uint64_t w = 0;
        std::memcpy(&w, p, 8);
        hash = mix64(hash ^ w) + 0x9E3779B97F4A7C15ULL;
    }
    for (; bytes > 0; --bytes, ++p) {
        hash = mix64(hash ^ *p) + 0x9E3779B97F4A7C15ULL;
    }
    return hash;
}

// Windows of check_hash(): in small tables (accounts, groups) the round is short, and the large
// ones (orders, the ledger) come round too within a day of a busy desk.
constexpr std::size_t kWindow = 128;
constexpr std::size_t kLargeWindow = 1024;
constexpr std::size_t kLargeTable = 64 * 1024;

}  // namespace

std::uint32_t image_format(const std::byte* image, std::size_t bytes) noexcept {
    ImageHeader header;
    header.magic = 0;
    if (bytes >= sizeof header) {
        std::memcpy(&header, image, sizeof header);
    }
    return header.magic == kImageMagic ? header.format : 0;
}

Capacity image_capacity(const std::byte* image, std::size_t bytes) noexcept {
    if (image_format(image, bytes) != kImageFormat) {
        return {0, 0, 0, 0};
    }
    ImageHeader header;
    std::memcpy(&header, image, sizeof header);
    return {header.accounts, header.members, header.orders, header.signals};
}

/// The one list of what makes up the state; its order is the image's.
template <class Visitor>
void Engine::visit_state(Visitor&& visitor) {
    visitor(&g_, sizeof g_);
    orders_.visit(visitor);
    ledger_.visit(visitor);
    members_.visit(visitor);
    visitor(accounts_.get(), sizeof(Account) * capacity_.accounts);
    visitor(symbols_.get(), sizeof(SymbolState) * kSymbolsMax);
    visitor(groups_.get(), sizeof(Group) * kGroupsMax);
    visitor(sources_.get(), sizeof(SourceState) * kSourcesMax);
    timers_.visit(visitor);
    visitor(&jobs_head_, sizeof jobs_head_);
    visitor(&jobs_size_, sizeof jobs_size_);
    visitor(jobs_.get(), sizeof(Job) * jobs_capacity_);
    visitor(account_risk_.get(), sizeof(AccountRisk) * capacity_.accounts);
    visitor(group_risk_.get(), sizeof(GroupRisk) * kGroupsMax);
    visitor(symbol_risk_.get(), sizeof(SymbolRisk) * kSymbolsMax);
    visitor(&segment_loss_, sizeof segment_loss_);
    visitor(currencies_.get(), sizeof(CurrencyState) * kCurrenciesMax);
    visitor(account_guard_.get(), sizeof(AccountGuard) * capacity_.accounts);
    visitor(group_guard_.get(), sizeof(GroupGuard) * kGroupsMax);
    visitor(symbol_guard_.get(), sizeof(SymbolGuard) * kSymbolsMax);
    visitor(order_value_.get(), sizeof(Money) * orders_.used());
    visitor(account_outcome_.get(), sizeof(AccountOutcome) * capacity_.accounts);
    visitor(account_sides_.get(), sizeof(AccountSides) * capacity_.accounts);
    visitor(account_standby_.get(), sizeof(AccountStandby) * capacity_.accounts);
    visitor(ended_closes_.get(), sizeof(EndedCloses));
}

std::uint64_t Engine::state_hash() noexcept {
    std::uint64_t hash = 0;
    visit_state(
        [&hash](const void* data, std::size_t bytes) { hash = hash_bytes(hash, data, bytes); });
    return hash;
}

std::uint64_t Engine::check_hash(std::uint64_t turn) noexcept {
    std::uint64_t hash = hash_bytes(g_.output_hash, &g_, sizeof g_);
    visit_state([&hash, turn](const void* data, std::size_t bytes) {
        const std::size_t window = bytes > kLargeTable ? kLargeWindow : kWindow;
        const std::size_t windows = (bytes + window - 1) / window;
        if (windows > 0) {
            const std::size_t at = turn % windows * window;
            const auto* begin = static_cast<const std::byte*>(data) + at;
            hash = hash_bytes(hash, begin, std::min(window, bytes - at));
        }
    });
    return hash;
}

void Engine::save(std::vector<std::byte>& image) {
    const ImageHeader header = header_of(capacity_);
    std::size_t bytes = sizeof header;
    visit_state([&bytes](const void*, std::size_t n) { bytes += n; });
    image = std::vector<std::byte>(bytes);
    std::memcpy(image.data(), &header, sizeof header);
    std::size_t at = sizeof header;
    visit_state([&](const void* data, std::size_t n) {
        std::memcpy(image.data() + at, data, n);
        at += n;
    });
    ASSERT(at == bytes);
}

Status Engine::load(const std::byte* image, std::size_t bytes) {
    ImageHeader header;
    if (bytes < sizeof header) {
        *this = Engine{capacity_};
        return {Errc::BadLayout, "snapshot image is shorter than its header"};
    }
    std::memcpy(&header, image, sizeof header);
    if (image_format(image, bytes) != kImageFormat) {
        *this = Engine{capacity_};
        return {Errc::BadVersion, "snapshot image of another format"};
    }
    if (!(header == header_of(capacity_))) {
        *this = Engine{capacity_};
        return {Errc::BadVersion, "snapshot image was made with other capacities or layouts"};
    }
    std::size_t at = sizeof header;
    bool fits = true;
    visit_state([&](void* data, std::size_t n) {
        fits = fits && n <= bytes - at;
        if (fits) {
            std::memcpy(data, image + at, n);
            at += n;
        }
    });
    if (!fits || at != bytes) {
        *this = Engine{capacity_};
        return {Errc::BadLayout, "snapshot image has another length than its tables say"};
    }
    rebuild_indexes();
    note_currencies();
    recount_all();
    measure_groups();
    return ok_status();
}

void Engine::rebuild_indexes() noexcept {
    by_signal_.clear();
    by_intent_.clear();
    by_position_.clear();
    timers_.rebuild_places();
    for (std::uint32_t i = 0; i < ledger_.used(); ++i) {
        if (ledger_.is_live(i)) {
            by_signal_.insert(key_of(ledger_[i].signal.id), i);
        }
    }
    for (std::uint32_t i = 0; i < orders_.used(); ++i) {
        if (!orders_.is_live(i)) {
            continue;
        }
        const Order& o = orders_[i];
        by_intent_.insert(key_of(o.account, o.intent), i);
        if (o.indexed) {
            by_position_.insert(key_of(o.account, o.position_id), i);
        }
    }
}

}  // namespace millrace
