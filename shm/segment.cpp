#include "shm/segment.h"

#include <boost/interprocess/file_mapping.hpp>
#include <boost/interprocess/mapped_region.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "shm/segment_plan.h"

namespace millrace {
namespace bip = boost::interprocess;

namespace {

std::string read_boot_id() {
    std::ifstream in{"/proc/sys/kernel/random/boot_id"};
    std::string id;
    std::getline(in, id);
    return id;
}

Error fail(std::string& message, std::string text, Errc code, int sys_errno = 0) {
    message = std::move(text);
    return {code, sys_errno, "segment"};
}

std::string errno_text(int e) { return std::string{": "} + std::strerror(e); }

/// Reserves every byte of the file, so that a full /dev/shm is an error here and never a SIGBUS
/// later. The file is removed again if that fails.
Status reserve_file(const std::string& path, std::uint64_t bytes, std::string& message) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        const int e = errno;
        return fail(message, "cannot create segment " + path + errno_text(e) +
                                 (e == EEXIST ? " (attach to it, or remove it when its owner is dead)"
                                              : ""),
                    e == EEXIST ? Errc::Busy : Errc::IoError, e);
    }
    const int rc = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes));
    ::close(fd);
    if (rc != 0) {
        ::unlink(path.c_str());
        return fail(message, "segment " + path + " needs " + std::to_string(bytes >> 20) +
                                 " MiB and the file system gives no more" + errno_text(rc) +
                                 "; make /dev/shm larger (mount -o remount,size=...) or lower "
                                 "\"rings\" and \"accounts_max\" in the configuration",
                    Errc::NoSpace, rc);
    }
    return ok_status();
}

std::unique_ptr<bip::mapped_region> map_file(const std::string& path, bool writable) {
    const auto mode = writable ? bip::read_write : bip::read_only;
    const bip::file_mapping file{path.c_str(), mode};
    return std::make_unique<bip::mapped_region>(file, mode);
}

}  // namespace

const char* stage_name(StageId id) noexcept {
    static constexpr const char* kNames[kStages] = {"engine", "broker",  "journal", "replica",
                                                    "sqlite", "ingress", "metrics", "supervisor"};
    const auto i = static_cast<std::uint32_t>(id);
    return i < kStages ? kNames[i] : "?";
}

Segment::Segment() noexcept = default;
Segment::~Segment() = default;
Segment::Segment(Segment&&) noexcept = default;
Segment& Segment::operator=(Segment&&) noexcept = default;

Result<Segment> Segment::create(const SegmentPlan& plan, std::string& message) {
    SegmentShape shape;
    shape_of(plan, shape);
    if (auto reserved = reserve_file(plan.path, shape.total_bytes, message); !reserved) {
        return reserved.error();
    }
    Segment s;
    try {
        s.region_ = map_file(plan.path, true);
    } catch (const std::exception& e) {
        ::unlink(plan.path.c_str());
        return fail(message, "cannot map segment " + plan.path + ": " + e.what(), Errc::IoError);
    }
    auto* base = static_cast<std::byte*>(s.region_->get_address());
    // Touches every page now, so that no stage faults one in later.
    std::memset(base, 0, shape.total_bytes);
    s.header_ = new (base) SegmentHeader{};
    write_header(*s.header_, plan, shape);
    const std::string boot = read_boot_id();
    std::memcpy(s.header_->boot_id, boot.data(), std::min(boot.size(), sizeof s.header_->boot_id));
    if (::getrandom(s.header_->uuid, sizeof s.header_->uuid, 0) != sizeof s.header_->uuid) {
        ::unlink(plan.path.c_str());
        return fail(message, "the kernel gives no random bytes for the segment's uuid", Errc::IoError);
    }
    s.header_->creator_pid = static_cast<std::uint32_t>(::getpid());
    s.header_->creator_uid = ::getuid();
    s.header_->created_ns = wall_ns();
    s.header_->clock_anchor_ns = wall_ns() - monotonic_ns();
    s.header_->locked = plan.lock_memory && ::mlock(base, shape.total_bytes) == 0 ? 1 : 0;
    write_rings(base, shape);
    // Release: whoever sees the magic sees everything above.
    s.header_->magic.store(kSegmentMagic, std::memory_order_release);
    return s;
}

Result<Segment> Segment::attach(const std::string& path, Mode mode, std::string& message) {
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0) {
        return fail(message, "no segment at " + path + errno_text(errno) +
                                 "; `millrace up` creates it", Errc::NotFound, errno);
    }
    if (static_cast<std::uint64_t>(st.st_size) < sizeof(SegmentHeader)) {
        return fail(message, path + " has " + std::to_string(st.st_size) +
                                 " bytes, too few for a segment header", Errc::BadLayout);
    }
    if (mode == Mode::ReadWrite && st.st_uid != ::geteuid()) {
        return fail(message, path + " belongs to uid " + std::to_string(st.st_uid) +
                                 ", not to this process's uid " + std::to_string(::geteuid()),
                    Errc::BadAuth);
    }
    Segment s;
    try {
        s.region_ = map_file(path, mode == Mode::ReadWrite);
    } catch (const std::exception& e) {
        return fail(message, "cannot map " + path + ": " + e.what(), Errc::IoError);
    }
    s.header_ = static_cast<SegmentHeader*>(s.region_->get_address());
    if (Error e = validate(*s.header_, s.region_->get_size(), message); e.code != Errc::Ok) {
        message = path + ": " + message;
        return e;
    }
    return s;
}

bool Segment::same_boot() const {
    const std::string boot = read_boot_id();
    return std::string_view{header_->boot_id,
                            ::strnlen(header_->boot_id, sizeof header_->boot_id)} == boot;
}

std::byte* Segment::at(std::uint64_t offset) const noexcept {
    return reinterpret_cast<std::byte*>(header_) + offset;
}
CoreCells& Segment::core() const noexcept {
    return *reinterpret_cast<CoreCells*>(at(header_->core_offset));
}
Doorbell& Segment::doorbell(std::uint32_t index) const noexcept {
    ASSERT(index < header_->doorbell_count);
    return reinterpret_cast<Doorbell*>(at(header_->doorbells_offset))[index];
}
Doorbell& Segment::doorbell(StageId stage) const noexcept {
    return doorbell(static_cast<std::uint32_t>(stage));
}
StageEntry& Segment::stage(StageId stage) const noexcept {
    return reinterpret_cast<StageEntry*>(at(header_->stages_offset))[static_cast<std::uint32_t>(stage)];
}
SessionEntry& Segment::session(AccountId account) const noexcept {
    ASSERT(account.value < header_->session_count);
    return reinterpret_cast<SessionEntry*>(at(header_->sessions_offset))[account.value];
}
NameTables& Segment::names() const noexcept {
    return *reinterpret_cast<NameTables*>(at(header_->names_offset));
}
TickCell& Segment::tick(SymbolId symbol) const noexcept {
    ASSERT(symbol.value < kSymbolsMax);
    return reinterpret_cast<TickCell*>(at(header_->ticks_offset))[symbol.value];
}
Histogram& Segment::hop(Hop hop) const noexcept {
    ASSERT(static_cast<std::uint32_t>(hop) < kHops);
    return reinterpret_cast<Histogram*>(at(header_->hops_offset))[static_cast<std::uint32_t>(hop)];
}
HashCheck& Segment::hash_check(std::uint32_t i) const noexcept {
    return reinterpret_cast<HashCheck*>(at(header_->hashes_offset))[i % kHashChecks];
}
ErrorEntry& Segment::error(std::uint32_t i) const noexcept {
    ASSERT(i < kErrors);
    return reinterpret_cast<ErrorEntry*>(at(header_->errors_offset))[i];
}
const RingEntry& Segment::ring_entry(std::uint32_t index) const noexcept {
    ASSERT(index < header_->ring_count);
    return reinterpret_cast<const RingEntry*>(at(header_->rings_offset))[index];
}
std::uint32_t Segment::find_ring(std::string_view name) const noexcept {
    for (std::uint32_t i = 0; i < header_->ring_count; ++i) {
        if (view(ring_entry(i).name) == name) {
            return i;
        }
    }
    return kNoId;
}
RingControl<>& Segment::ring_control(std::uint32_t index) const noexcept {
    return *reinterpret_cast<RingControl<>*>(at(ring_entry(index).control_offset));
}

void Segment::report_error(std::string_view stage, std::string_view text) const noexcept {
    std::uint64_t hash = 0xCBF29CE484222325ULL;  // FNV-1a
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
    }
    hash |= 1;  // 0 marks a free entry
    for (std::uint32_t i = 0; i < kErrors; ++i) {
        ErrorEntry& e = error(i);
        std::uint64_t free_mark = 0;
        // Acq_rel: the winner's text below is written once; readers tolerate a torn first sight.
        const bool fresh = e.hash.compare_exchange_strong(free_mark, hash, std::memory_order_acq_rel);
        if (!fresh && free_mark != hash) {
            continue;
        }
        const std::int64_t now = clock().now().value;
        if (fresh) {
            stage.copy(e.stage, sizeof e.stage - 1);
            text.copy(e.text, sizeof e.text - 1);
            e.first_ns.store(now, std::memory_order_relaxed);
        }
        e.last_ns.store(now, std::memory_order_relaxed);
        e.count.fetch_add(1, std::memory_order_relaxed);
        return;
    }
}

}  // namespace millrace
