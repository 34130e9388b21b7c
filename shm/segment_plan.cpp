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
    }
    return 0;
}

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
    add_ring(shape, "journal", RingKind::Journal, plan.journal_slots, bell(StageId::Journal), kNoId);
    add_ring(shape, "signals.ingress", RingKind::Signals, plan.signals_slots, bell(StageId::Engine),
             kNoId);
    add_ring(shape, "results.ingress", RingKind::Results, plan.results_slots,
             bell(StageId::Ingress), kNoId);
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

Error bad(std::string& message, std::string text, Errc code) {
    message = std::move(text);
    return {code, 0, "segment"};
}

Error check_table(const char* name, std::uint64_t offset, std::uint64_t bytes, std::uint64_t total,
                  std::string& message) {
    if (offset < sizeof(SegmentHeader) || offset % 64 != 0 || offset > total ||
        bytes > total - offset) {
        return bad(message, std::string{name} + " at offset " + std::to_string(offset) + " with " +
                                std::to_string(bytes) + " bytes does not fit a segment of " +
                                std::to_string(total),
                   Errc::BadLayout);
    }
    return {};
}

Error check_ring(const SegmentHeader& h, const RingEntry& e, const std::byte* base,
                 std::string& message) {
    const std::string name = "ring " + std::string{view(e.name)};
    if (e.slot_bytes != slot_bytes_of(e.kind)) {
        return bad(message, name + " has slots of " + std::to_string(e.slot_bytes) +
                                " bytes, this build expects " +
                                std::to_string(slot_bytes_of(e.kind)), Errc::BadLayout);
    }
    if (e.capacity < 2 || !std::has_single_bit(e.capacity)) {
        return bad(message, name + ": capacity " + std::to_string(e.capacity) +
                                " is not a power of two", Errc::BadLayout);
    }
    if (e.doorbell >= h.doorbell_count) {
        return bad(message, name + ": doorbell " + std::to_string(e.doorbell) + " of " +
                                std::to_string(h.doorbell_count), Errc::BadLayout);
    }
    const std::uint64_t slots = std::uint64_t{e.capacity} * e.slot_bytes;
    for (const Error& error :
         {check_table(name.c_str(), e.control_offset, sizeof(RingControl<>), h.total_bytes, message),
          check_table(name.c_str(), e.slots_offset, slots, h.total_bytes, message)}) {
        if (error.code != Errc::Ok) {
            return error;
        }
    }
    const auto* control = reinterpret_cast<const RingControl<>*>(base + e.control_offset);
    if (control->magic != kRingMagic || control->slot_bytes != e.slot_bytes ||
        control->capacity != e.capacity) {
        return bad(message, name + ": its control block contradicts the directory", Errc::BadLayout);
    }
    return {};
}

}  // namespace

void shape_of(const SegmentPlan& plan, SegmentShape& shape) {
    plan_rings(shape, plan);
    SegmentHeader& h = shape.header;
    Layouter at;
    h.ring_count = static_cast<std::uint32_t>(shape.rings.size());
    h.session_count = plan.sessions;
    h.stage_count = kStages;
    h.doorbell_count = kStages + static_cast<std::uint32_t>(plan.strategies.size());
    h.core_offset = at.take(sizeof(CoreCells));
    h.doorbells_offset = at.take(sizeof(Doorbell) * h.doorbell_count);
    h.stages_offset = at.take(sizeof(StageEntry) * h.stage_count);
    h.sessions_offset = at.take(sizeof(SessionEntry) * h.session_count);
    h.names_offset = at.take(sizeof(NameTables));
    h.ticks_offset = at.take(sizeof(TickCell) * kSymbolsMax);
    h.hops_offset = at.take(sizeof(Histogram) * kHops);
    h.errors_offset = at.take(sizeof(ErrorEntry) * kErrors);
    h.hashes_offset = at.take(sizeof(HashCheck) * kHashChecks);
    h.rings_offset = at.take(sizeof(RingEntry) * h.ring_count);
    h.data_offset = at.at;
    for (RingEntry& e : shape.rings) {
        e.control_offset = at.at;
        e.slots_offset = at.at + sizeof(RingControl<>);
        at.at = align_up(e.slots_offset + std::uint64_t{e.capacity} * e.slot_bytes, kCacheLineBytes);
    }
    shape.total_bytes = align_up(at.at, kPage);
}

void write_header(SegmentHeader& h, const SegmentPlan& plan, const SegmentShape& shape) {
    // Field by field: the magic stays zero until the end (Segment::create).
    const SegmentHeader& from = shape.header;
    h.layout_version = kLayoutVersion;
    h.header_bytes = sizeof(SegmentHeader);
    h.schema_hash = schema_hash();
    h.total_bytes = shape.total_bytes;
    h.ring_count = from.ring_count;
    h.session_count = from.session_count;
    h.stage_count = from.stage_count;
    h.doorbell_count = from.doorbell_count;
    h.core_offset = from.core_offset;
    h.doorbells_offset = from.doorbells_offset;
    h.stages_offset = from.stages_offset;
    h.sessions_offset = from.sessions_offset;
    h.names_offset = from.names_offset;
    h.ticks_offset = from.ticks_offset;
    h.hops_offset = from.hops_offset;
    h.errors_offset = from.errors_offset;
    h.hashes_offset = from.hashes_offset;
    h.rings_offset = from.rings_offset;
    h.data_offset = from.data_offset;
    const std::size_t n = std::min(plan.journal_dir.size(), sizeof h.journal_dir - 1);
    std::memcpy(h.journal_dir, plan.journal_dir.data(), n);
}

void write_rings(std::byte* base, const SegmentShape& shape) {
    auto* entries = reinterpret_cast<RingEntry*>(base + shape.header.rings_offset);
    for (std::size_t i = 0; i < shape.rings.size(); ++i) {
        const RingEntry& e = shape.rings[i];
        entries[i] = e;
        auto* control = new (base + e.control_offset) RingControl<>{};
        control->slot_bytes = e.slot_bytes;
        control->capacity = e.capacity;
        control->payload_kind = static_cast<std::uint32_t>(e.kind);
        control->magic = kRingMagic;
        if (e.kind == RingKind::Session) {
            auto* s = reinterpret_cast<SessionEntry*>(base + shape.header.sessions_offset) + e.owner_id;
            s->account = AccountId{e.owner_id};
            s->queue_ring = static_cast<std::uint32_t>(i);
        }
    }
    for (std::uint32_t i = 0; i < kStages; ++i) {
        auto* stage = reinterpret_cast<StageEntry*>(base + shape.header.stages_offset) + i;
        stage->name = make_text<24>(stage_name(static_cast<StageId>(i)));
    }
}

Error validate(const SegmentHeader& h, std::uint64_t mapped, std::string& message) {
    // Acquire: pairs with the creator's release; a complete magic means a complete segment.
    const std::uint64_t magic = h.magic.load(std::memory_order_acquire);
    if (magic != kSegmentMagic) {
        return bad(message, magic == 0 ? "not (yet) a complete segment: its magic is not written"
                                       : "not a Millrace segment: wrong magic", Errc::BadMagic);
    }
    if (h.layout_version != kLayoutVersion) {
        return bad(message, "layout version " + std::to_string(h.layout_version) +
                                ", this build speaks " + std::to_string(kLayoutVersion) +
                                "; stop it with the build that made it", Errc::BadVersion);
    }
    if (h.schema_hash != schema_hash()) {
        return bad(message, "struct layouts differ from this build's (schema hash); stop it with "
                            "the build that made it", Errc::BadVersion);
    }
    if (h.total_bytes != mapped || h.header_bytes != sizeof(SegmentHeader)) {
        return bad(message, "header says " + std::to_string(h.total_bytes) + " bytes, the file has " +
                                std::to_string(mapped), Errc::BadLayout);
    }
    const struct {
        const char* name;
        std::uint64_t offset;
        std::uint64_t bytes;
    } tables[] = {
        {"core cells", h.core_offset, sizeof(CoreCells)},
        {"doorbells", h.doorbells_offset, sizeof(Doorbell) * std::uint64_t{h.doorbell_count}},
        {"stage table", h.stages_offset, sizeof(StageEntry) * std::uint64_t{h.stage_count}},
        {"session table", h.sessions_offset, sizeof(SessionEntry) * std::uint64_t{h.session_count}},
        {"name tables", h.names_offset, sizeof(NameTables)},
        {"tick table", h.ticks_offset, sizeof(TickCell) * kSymbolsMax},
        {"latency histograms", h.hops_offset, sizeof(Histogram) * kHops},
        {"error log", h.errors_offset, sizeof(ErrorEntry) * kErrors},
        {"hash checks", h.hashes_offset, sizeof(HashCheck) * kHashChecks},
        {"ring directory", h.rings_offset, sizeof(RingEntry) * std::uint64_t{h.ring_count}},
    };
    for (const auto& t : tables) {
        if (Error e = check_table(t.name, t.offset, t.bytes, h.total_bytes, message);
            e.code != Errc::Ok) {
            return e;
        }
    }
    if (h.stage_count != kStages || h.doorbell_count < kStages) {
        return bad(message, "stage or doorbell count contradicts this build", Errc::BadLayout);
    }
    const auto* base = reinterpret_cast<const std::byte*>(&h);
    const auto* rings = reinterpret_cast<const RingEntry*>(base + h.rings_offset);
    for (std::uint32_t i = 0; i < h.ring_count; ++i) {
        if (Error e = check_ring(h, rings[i], base, message); e.code != Errc::Ok) {
            return e;
        }
    }
    return {};
}

std::uint64_t schema_hash() noexcept {
    std::uint64_t hash = 0xCBF29CE484222325ULL;  // FNV-1a over sizes
    for (const std::uint64_t n :
         {sizeof(SegmentHeader), sizeof(CoreCells), sizeof(Doorbell), sizeof(StageEntry),
          sizeof(SessionEntry), sizeof(NameTables), sizeof(TickCell), sizeof(Histogram),
          sizeof(ErrorEntry), sizeof(HashCheck), sizeof(RingEntry), sizeof(RingControl<>),
          sizeof(RingSlot<SignalSlot>), sizeof(RingSlot<ResultSlot>), sizeof(RingSlot<AdminSlot>),
          sizeof(RingSlot<OrderSlot>), sizeof(RingSlot<ReportSlot>), sizeof(RingSlot<JournalRecord>),
          offsetof(SegmentHeader, rings_offset), offsetof(OrderCommand, comment),
          offsetof(Report, broker_time), offsetof(JournalRecord, body),
          std::size_t{kRecordVersion}}) {
        hash = (hash ^ n) * 0x100000001B3ULL;
    }
    return hash;
}

}  // namespace millrace
