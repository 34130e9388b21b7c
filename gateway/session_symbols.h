// SymbolNames: an account's own symbol names and the canonical ones behind them.
#pragma once

#include "shm/segment.h"

#include <array>
#include <string_view>

namespace millrace {

/// Account's name = prefix + canonical name + suffix.
/// Threads: the broker stage. No allocation.
class SymbolNames {
public:
    void configure(const Text<8>& prefix, const Text<8>& suffix) noexcept {
        prefix_ = prefix;
        suffix_ = suffix;
        cache_ = {};
    }

    /// The name without prefix and suffix; as it is if it has not got them.
    [[nodiscard]] Text<16> canonical(const Text<16>& name) const noexcept {
        std::string_view s = view(name);
        const std::string_view prefix = view(prefix_);
        const std::string_view suffix = view(suffix_);
        const bool decorated = s.size() > prefix.size() + suffix.size() && s.starts_with(prefix) &&
                               s.ends_with(suffix);
        if (decorated) {
            s = s.substr(prefix.size(), s.size() - prefix.size() - suffix.size());
        }
        return make_text<16>(s);
    }

    /// The account's name of a canonical one, cut to 16 characters.
    [[nodiscard]] Text<16> decorated(const Text<16>& canonical_name) const noexcept {
        Text<16> out;
        std::size_t at = 0;
        for (const std::string_view part : {view(prefix_), view(canonical_name), view(suffix_)}) {
            for (const char c : part) {
                if (at < sizeof out.bytes) {
                    out.bytes[at++] = c;
                }
            }
        }
        return out;
    }

    /// Id of the symbol that the account calls `name`, kNoId if none is configured.
    /// Looks through the segment's name table on a miss; hits are cached. Symbols are only ever
    /// added, so a hit stays true; a miss is looked up again.
    [[nodiscard]] SymbolId find(const NameTables& names, const Text<16>& name) noexcept {
        Cached& cached = cache_[hash(name) % kCached];
        if (cached.id.value != kNoId && cached.name == name) {
            return cached.id;
        }
        const Text<16> wanted = canonical(name);
        for (std::uint32_t i = 0; i < kNamesPerKind; ++i) {
            // Acquire: pairs with the engine stage's release of `ready`: the name is whole.
            const bool ready = names.symbols[i].ready.load(std::memory_order_acquire) != 0;
            if (ready && names.symbols[i].name == wanted) {
                cached = Cached{name, SymbolId{i}};
                return cached.id;
            }
        }
        return SymbolId{kNoId};
    }

private:
    static std::size_t hash(const Text<16>& name) noexcept {
        std::size_t h = 0xCBF29CE484222325ULL;  // FNV-1a
        for (const char c : name.bytes) {
            h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
        }
        return h >> 7U;
    }

    struct Cached {
        Text<16> name;
        SymbolId id{kNoId};
    };
    static constexpr std::size_t kCached = 32;

    Text<8> prefix_;
    Text<8> suffix_;
    std::array<Cached, kCached> cache_{};
};

}  // namespace millrace
