// Shared structs as named fields: words instead of numbers, exact decimals, names of ids.
#pragma once

#include "core/effect.h"
#include "gateway/session_queue.h"
#include "shm/segment.h"

#include <nlohmann/json.hpp>

#include <string>

namespace millrace::inspect {

/// Names of ids, as the engine has written them into the segment; without one, ids stay numbers.
class Names {
public:
    Names() = default;
    explicit Names(const Segment& segment) : tables_{&segment.names()} {}
    [[nodiscard]] nlohmann::ordered_json symbol(SymbolId id) const {
        return tables_ == nullptr ? number(id.value) : of(tables_->symbols, id.value);
    }
    [[nodiscard]] nlohmann::ordered_json group(GroupId id) const {
        return tables_ == nullptr ? number(id.value) : of(tables_->groups, id.value);
    }
    [[nodiscard]] nlohmann::ordered_json source(SourceId id) const {
        return tables_ == nullptr ? number(id.value) : of(tables_->sources, id.value);
    }

private:
    static nlohmann::ordered_json number(std::uint32_t id) {
        return id == kNoId ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(id);
    }
    static nlohmann::ordered_json of(const NameEntry (&table)[kNamesPerKind], std::uint32_t id) {
        // Acquire: pairs with the engine's release of `ready`; the name is whole then.
        if (id < kNamesPerKind && table[id].ready.load(std::memory_order_acquire) != 0) {
            return std::string{view(table[id].name)};
        }
        return number(id);
    }
    const NameTables* tables_ = nullptr;
};

[[nodiscard]] nlohmann::ordered_json describe(const Signal& s, const Names& names);
[[nodiscard]] nlohmann::ordered_json describe(const SignalResult& r, const Names& names);
[[nodiscard]] nlohmann::ordered_json describe(const OrderCommand& c, const Names& names);
[[nodiscard]] nlohmann::ordered_json describe(const Report& r, const Names& names);
[[nodiscard]] nlohmann::ordered_json describe(const Holding& h, const Names& names);
[[nodiscard]] nlohmann::ordered_json describe(const KillCommand& k, const Names& names);
[[nodiscard]] nlohmann::ordered_json describe(const AdminRecord& a, const Names& names);
[[nodiscard]] nlohmann::ordered_json describe(const JournalRecord& r, const Names& names);
/// A command in an account's queue, with how far it got.
[[nodiscard]] nlohmann::ordered_json describe(const SessionSlot& s, const Names& names);
[[nodiscard]] nlohmann::ordered_json describe(const Effect& e, const Names& names);

/// 01234567-89ab-cdef-0000-000000000042; "-" for none.
[[nodiscard]] std::string uuid_text(const SignalId& id);

template <class T>
[[nodiscard]] nlohmann::ordered_json describe(const Padded<T>& p, const Names& names) {
    return describe(p.value, names);
}

}  // namespace millrace::inspect
