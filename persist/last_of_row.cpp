#include "persist/last_of_row.h"

#include <xxhash.h>

#include <type_traits>

namespace millrace {

std::size_t LastOfRow::Hash::operator()(const Row& row) const noexcept {
    static_assert(std::has_unique_object_representations_v<Row>);
    return ::XXH3_64bits(&row, sizeof row);
}

LastOfRow::Row LastOfRow::row_of(const Effect& e) noexcept {
    const auto kind = static_cast<std::uint64_t>(e.kind);
    switch (e.kind) {
        case EffectKind::Order: {
            const auto r = e.as<OrderRow>();
            return {kind, r.account.value, r.magic.intent(), 0};
        }
        case EffectKind::Position: {
            const auto r = e.as<PositionRow>();
            return {kind, r.account.value, r.position_id, r.magic.value};
        }
        case EffectKind::Account: return {kind, e.as<AccountRow>().account.value, 0, 0};
        case EffectKind::Definition: {
            const auto r = e.as<DefinitionRow>();
            return {kind, static_cast<unsigned char>(r.kind), r.id, 0};
        }
        case EffectKind::Signal: {
            const auto r = e.as<SignalRow>();
            // A refused one is no word on the accepted one whose id it came with.
            return {kind, r.reason == 0 ? 0U : 1U, r.id.hi, r.id.lo};
        }
        default: return {kind, 0, e.seq.value, e.k};
    }
}

void LastOfRow::look_at(std::span<const Effect> effects) {
    seen_.clear();
    last_.assign(effects.size(), false);
    for (std::size_t i = effects.size(); i-- > 0;) {
        last_[i] = seen_.insert(row_of(effects[i])).second;
    }
}

}  // namespace millrace
