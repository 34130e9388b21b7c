#include "gateway/fix/order_book.h"

#include <algorithm>
#include <cstring>

namespace millrace::fix {
namespace {

Key128 key(Magic magic) noexcept {
    return {0, magic.value};
}

}  // namespace

OrderBook::OrderBook(std::uint32_t orders_max, std::uint64_t magic_tag,
                     std::span<const Instrument> instruments, const Profile& profile)
    : magic_tag_{magic_tag},
      instruments_{instruments},
      profile_{profile},
      index_{orders_max},
      capacity_{orders_max},
      entries_{std::make_unique<Entry[]>(orders_max)} {}

const Instrument* OrderBook::instrument(const char (&symbol)[16]) const noexcept {
    const std::string_view name{symbol, strnlen(symbol, sizeof(symbol))};
    const auto found = std::find_if(instruments_.begin(), instruments_.end(),
                                    [&](const Instrument& i) { return i.symbol == name; });
    return found == instruments_.end() ? nullptr : &*found;
}

const OrderBook::Entry* OrderBook::find(Magic magic) const noexcept {
    const std::uint32_t i = index_.find(key(magic));
    return i == kNoId ? nullptr : &entries_[i];
}

OrderBook::Entry* OrderBook::find(Magic magic) noexcept {
    const std::uint32_t i = index_.find(key(magic));
    return i == kNoId ? nullptr : &entries_[i];
}

OrderBook::Entry* OrderBook::free_entry() noexcept {
    if (used_ < capacity_) {
        return &entries_[used_++];
    }
    for (std::uint32_t n = 0; n < capacity_; ++n) {
        Entry& entry = entries_[oldest_];
        oldest_ = (oldest_ + 1) % capacity_;
        const Entry* target = entry.is_order() ? nullptr : find(Magic{entry.command.order_ticket});
        // A cancel of what is over can change nothing any more, answered or not.
        if (entry.over || (!entry.is_order() && (target == nullptr || target->over))) {
            index_.erase(key(entry.magic()));
            entry = {};
            return &entry;
        }
    }
    return nullptr;
}

Status OrderBook::add(const bridge::Command& command) noexcept {
    const auto type = static_cast<CommandType>(command.type);
    const bool is_order = type == CommandType::Open || type == CommandType::Close;
    if (!is_order && type != CommandType::Modify && type != CommandType::Cancel) {
        return {Errc::BadInput, "a command that makes no FIX order"};
    }
    if (Magic{command.magic}.tag() != magic_tag_ || find(Magic{command.magic}) != nullptr) {
        return {Errc::BadInput, "a magic that is foreign or used already"};
    }
    const Instrument* traded = instrument(command.symbol);
    if (traded == nullptr) {
        return {Errc::BadInput, "a symbol without a FIX instrument"};
    }
    std::int64_t quantity = 0;
    if (is_order) {
        const auto wanted = quantity_of(command.volume, *traded);
        if (!wanted) {
            return wanted.error();
        }
        quantity = wanted.value();
    } else if (const Entry* target = find(Magic{command.order_ticket});
               target == nullptr || !target->is_order()) {
        return {Errc::NotFound, "no such order to cancel or replace"};
    }
    Entry* entry = free_entry();
    if (entry == nullptr) {
        return {Errc::NoSpace, "FIX orders alive"};
    }
    entry->command = command;
    entry->instrument = traded;
    entry->current = Magic{command.magic};
    entry->quantity = quantity;
    index_.insert(key(entry->magic()), static_cast<std::uint32_t>(entry - entries_.get()));
    if (!is_order) {
        // Not before: making room may have moved nothing, but it may have freed what is over.
        if (Entry* target = find(Magic{command.order_ticket}); target != nullptr) {
            target->child = entry->magic();
        }
    }
    return ok_status();
}

void OrderBook::note_sequence(Magic magic, std::uint64_t msg_seq_num) noexcept {
    if (Entry* entry = find(magic); entry != nullptr) {
        entry->sequence = msg_seq_num;
    }
}

void OrderBook::note_asked(Magic magic) noexcept {
    if (Entry* entry = find(magic); entry != nullptr) {
        entry->asked = true;
    }
}

void OrderBook::forget_sequences() noexcept {
    for (std::uint32_t i = 0; i < used_; ++i) {
        entries_[i].sequence = 0;
    }
}

Result<Reference> OrderBook::reference(Magic magic) const noexcept {
    const Entry* entry = find(magic);
    if (entry == nullptr || !entry->is_order()) {
        return {Errc::NotFound, "no such order"};
    }
    Reference reference;
    reference.magic = entry->current;
    reference.order_id = {entry->order_id, entry->order_id_bytes};
    reference.side = static_cast<Side>(entry->command.side);
    reference.price_kind = entry->type() == CommandType::Close
                               ? PriceKind::Market
                               : static_cast<PriceKind>(entry->command.price_kind);
    reference.quantity = entry->quantity;
    return reference;
}

std::optional<Magic> OrderBook::our_magic(std::string_view cl_ord_id) const noexcept {
    const auto magic = magic_of(cl_ord_id);
    return magic && magic->tag() == magic_tag_ ? magic : std::nullopt;
}

Answer OrderBook::apply(const Incoming& in) noexcept {
    switch (in.kind) {
        case IncomingKind::Execution: return on_execution(in);
        case IncomingKind::CancelReject: return on_cancel_reject(in);
        case IncomingKind::BusinessReject: return on_business_reject(in);
        case IncomingKind::SessionReject: return on_session_reject(in);
        case IncomingKind::Logout: {
            Answer answer;
            answer.note = Note::LoggedOut;
            return answer;
        }
        case IncomingKind::Other: break;
    }
    return {};
}

std::string_view to_string(Note note) noexcept {
    switch (note) {
        case Note::None: return "None";
        case Note::Repeat: return "Repeat";
        case Note::Stale: return "Stale";
        case Note::Status: return "Status";
        case Note::Pending: return "Pending";
        case Note::Foreign: return "Foreign";
        case Note::UnknownOrder: return "UnknownOrder";
        case Note::Bust: return "Bust";
        case Note::Correct: return "Correct";
        case Note::Shrunk: return "Shrunk";
        case Note::Late: return "Late";
        case Note::Contradiction: return "Contradiction";
        case Note::Ask: return "Ask";
        case Note::VenueKnowsNot: return "VenueKnowsNot";
        case Note::Refused: return "Refused";
        case Note::LoggedOut: return "LoggedOut";
    }
    return "?";
}

}  // namespace millrace::fix
