#include "shm/segment_plan.h"

#include <bit>
#include <cstring>

namespace millrace {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t align_up(std::uint64_t n, std::uint64_t to) noexcept {
    return (n + to - 1) / to * to;
}

/// Places tables one after the other, each on a page of its own.
struct Layouter {
    std::uint64_t at = kPage;
    std::uint64_t take(std::uint64_t bytes) noexcept {
        const std::uint64_t here = at;
        at = align_up(at + bytes, kPage);
        return here;
    }
};

void add_ring(SegmentShape& shape, std::string_view name, RingKind kind, std::uint32_t capacity,
              std::uint32_t doorbell, std::uint32_t owner) {
    RingEntry e;
    e.name = make_text<24>(name);
    e.kind = kind;
    e.slot_bytes = slot_bytes_of(kind);
    e.capacity = std::bit_ceil(capacity < 2 ? 2U : capacity);
    e.doorbell = doorbell;
    e.owner_id = owner;
    shape.rings.push_back(e);
}

void plan_rings(SegmentShape& shape, const SegmentPlan& plan) {
    const auto bell = [](StageId s) { return static_cast<std::uint32_t>(s); };
    add_ring(shape, "admin", RingKind::Admin, plan.admin_slots, bell(StageId::Engine), kNoId);
    add_ring(shape, "admin.broker", RingKind::AdminBroker, 64, bell(StageId::Broker), kNoId);
    add_ring(shape, "reports", RingKind::Reports, plan.reports_slots, bell(StageId::Engine), kNoId);
    add_ring(shape, "orders", RingKind::Orders, plan.orders_slots, bell(StageId::Broker), kNoId);
    add_ring(shape, "journal", RingKind::Journal, plan.journal_slots, bell(StageId::Journal),
             kNoId);
    add_ring(shape, "signals.ingress", RingKind::Signals, plan.signals_slots, bell(StageId::Engine),
             kNoId);
    add_ring(shape, "results.ingress", RingKind::Results, plan.results_slots,
             bell(StageId::Ingress), kNoId);
    add_ring(shape, kHoldingsRing, RingKind::Holdings, plan.holdings_slots, bell(StageId::Replica),
             kNoId);
    std::uint32_t next_bell = kStages;
    for (const StrategyPlan& s : plan.strategies) {
        add_ring(shape, "signals." + s.name, RingKind::Signals, plan.signals_slots,
                 bell(StageId::Engine), s.id.value);
        add_ring(shape, "results." + s.name, RingKind::Results, plan.results_slots, next_bell++,
                 s.id.value);
    }
    for (std::uint32_t i = 0; i < plan.sessions; ++i) {
        add_ring(shape, "session." + std::to_string(i), RingKind::Session, plan.session_slots,
                 bell(StageId::Broker), i);
    }
}

}  // namespace

std::uint32_t slot_bytes_of(RingKind kind) noexcept {
    switch (kind) {
        case RingKind::Signals: return sizeof(RingSlot<SignalSlot>);
        case RingKind::Results: return sizeof(RingSlot<ResultSlot>);
        case RingKind::Admin: return sizeof(RingSlot<AdminSlot>);
        case RingKind::AdminBroker: return sizeof(RingSlot<KillSlot>);
        case RingKind::Orders:
        case RingKind::Session: return sizeof(RingSlot<OrderSlot>);
        case RingKind::Reports: return sizeof(RingSlot<ReportSlot>);
        case RingKind::Journal: return sizeof(RingSlot<JournalRecord>);
        case RingKind::Holdings: return sizeof(RingSlot<Holding>);
    }
    return 0;
}

std::uint64_t place_tables(SegmentHeader& h) noexcept {
    Layouter at;
    h.core_offset = at.take(sizeof(CoreCells));
    h.doorbells_offset = at.take(sizeof(Doorbell) * std::uint64_t{h.doorbell_count});
    h.stages_offset = at.take(sizeof(StageEntry) * std::uint64_t{h.stage_count});
    h.sessions_offset = at.take(sizeof(SessionEntry) * std::uint64_t{h.session_count});
    h.names_offset = at.take(sizeof(NameTables));
    h.ticks_offset = at.take(sizeof(TickCell) * kSymbolsMax);
    h.hops_offset = at.take(sizeof(Histogram) * kHops);
    h.errors_offset = at.take(sizeof(ErrorEntry) * kErrors);
    h.hashes_offset = at.take(sizeof(HashCheck) * kHashChecks);
    h.rings_offset = at.take(2 * sizeof(RingEntry) * std::uint64_t{h.ring_count});
    h.data_offset = at.at;
    return at.at;
}

std::uint64_t place_ring(RingEntry& e, std::uint64_t at) noexcept {
    e.control_offset = at;
    e.slots_offset = at + sizeof(RingControl<>);
    return align_up(e.slots_offset + std::uint64_t{e.capacity} * e.slot_bytes, kCacheLineBytes);
}

std::uint64_t file_bytes(std::uint64_t end, std::uint32_t page_bytes) noexcept {
    return align_up(end, page_bytes);
}

void shape_of(const SegmentPlan& plan, SegmentShape& shape) {
    plan_rings(shape, plan);
    SegmentHeader& h = shape.header;
    h.ring_count = static_cast<std::uint32_t>(shape.rings.size());
    h.session_count = plan.sessions;
    h.stage_count = kStages;
    h.doorbell_count = kStages + static_cast<std::uint32_t>(plan.strategies.size());
    h.page_bytes = page_bytes_at(plan.path);
    std::uint64_t at = place_tables(h);
    for (RingEntry& e : shape.rings) {
        at = place_ring(e, at);
    }
    shape.total_bytes = file_bytes(at, h.page_bytes);
}

void write_header(SegmentHeader& h, const SegmentPlan& plan, const SegmentShape& shape) {
    // Field by field: the magic stays zero until the end (publish_header).
    const SegmentHeader& from = shape.header;
    h.layout_version = kLayoutVersion;
    h.header_bytes = sizeof(SegmentHeader);
    h.schema_hash = schema_hash();
    h.total_bytes = shape.total_bytes;
    h.page_bytes = from.page_bytes;
    h.ring_count = from.ring_count;
    h.session_count = from.session_count;
    h.stage_count = from.stage_count;
    h.doorbell_count = from.doorbell_count;
    place_tables(h);
    const std::size_t n = std::min(plan.journal_dir.size(), sizeof h.journal_dir - 1);
    std::memcpy(h.journal_dir, plan.journal_dir.data(), n);
}

void publish_header(SegmentHeader& h) {
    auto* copy = reinterpret_cast<std::byte*>(&h) + kHeaderCopyOffset;
    std::memcpy(copy, static_cast<const void*>(&h), sizeof h);
    std::memcpy(copy, &kSegmentMagic, sizeof kSegmentMagic);
    // Release: whoever sees the magic sees everything above. Pairs with the acquire in validate().
    h.magic.store(kSegmentMagic, std::memory_order_release);
}

void write_rings(std::byte* base, const SegmentShape& shape) {
    auto* entries = reinterpret_cast<RingEntry*>(base + shape.header.rings_offset);
    for (std::size_t i = 0; i < shape.rings.size(); ++i) {
        const RingEntry& e = shape.rings[i];
        entries[i] = e;
        entries[shape.rings.size() + i] = e;  // the copy
        auto* control = new (base + e.control_offset) RingControl<>{};
        control->slot_bytes = e.slot_bytes;
        control->capacity = e.capacity;
        control->payload_kind = static_cast<std::uint32_t>(e.kind);
        control->magic = kRingMagic;
        if (e.kind == RingKind::Session) {
            auto* s =
                reinterpret_cast<SessionEntry*>(base + shape.header.sessions_offset) + e.owner_id;
            s->account = AccountId{e.owner_id};
            s->queue_ring = static_cast<std::uint32_t>(i);
        }
    }
    for (std::uint32_t i = 0; i < kStages; ++i) {
        auto* stage = reinterpret_cast<StageEntry*>(base + shape.header.stages_offset) + i;
        stage->name = make_text<24>(stage_name(static_cast<StageId>(i)));
    }
}

}  // namespace millrace
