#include "tools/inspect/found_segment.h"

#include "shm/source_ring.h"

namespace millrace::inspect {
namespace {

/// In the order of Segment::attach() and the start around it: the first fault is what counts.
Errc judge(const Segment& segment, const std::string& journal_dir, FoundSegment& found) {
    if (!segment.same_boot()) {
        found.why = "is of another boot: its cursors mean nothing now";
        return Errc::OtherBoot;
    }
    for (std::uint32_t i = 0; i < segment.ring_count(); ++i) {
        std::string message;
        const auto good = segment.check_ring(i, message);
        if (good) {
            continue;
        }
        if (is_judged_by_its_user(segment.ring_entry(i))) {
            found.cut_off.push_back(message);
            continue;
        }
        found.why = "is not usable: " + message;
        return good.code();
    }
    const std::string owner = segment.header().journal_dir;
    if (!journal_dir.empty() && owner != journal_dir) {
        found.why = "belongs to the journal " + owner + ", not to " + journal_dir;
        return Errc::BadInput;
    }
    return Errc::Ok;
}

}  // namespace

FoundSegment find_segment(const std::string& path, const std::string& journal_dir) {
    FoundSegment found;
    found.path = path;
    std::string message;
    auto segment = Segment::attach(path, Segment::Mode::ReadOnly, message);
    if (!segment) {
        found.code = segment.code();
        found.why = "is not usable: " + message;
        return found;
    }
    found.segment = std::move(segment).value();
    found.code = judge(*found.segment, journal_dir, found);
    return found;
}

}  // namespace millrace::inspect
