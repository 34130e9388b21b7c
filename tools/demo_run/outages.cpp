#include "tools/demo_run/outages.h"

#include <algorithm>

namespace millrace::demo {

bool Outages::touch(Nanos from, Nanos to) const noexcept {
    return std::any_of(list_.begin(), list_.end(), [from, to](const Outage& o) {
        return o.begin <= to && (o.end.value == 0 || from <= o.end);
    });
}

Nanos Outages::total(Nanos until) const {
    std::vector<Outage> sorted = list_;
    std::sort(sorted.begin(), sorted.end(),
              [](const Outage& a, const Outage& b) { return a.begin < b.begin; });
    Nanos sum;
    Nanos covered;  // up to here everything is counted
    for (const Outage& o : sorted) {
        const Nanos begin = std::max(o.begin, covered);
        const Nanos end = o.end.value == 0 ? until : o.end;
        if (end > begin) {
            sum = sum + (end - begin);
            covered = end;
        }
    }
    return sum;
}

}  // namespace millrace::demo
