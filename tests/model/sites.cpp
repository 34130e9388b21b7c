#include "tests/model/machine.h"

#include "core/assert.h"

#include <algorithm>
#include <deque>

namespace millrace::model {
namespace {

struct Known {
    Site site;
    const char* file;  // as the compiler gave it, for a quick comparison
};

std::deque<Known> g_sites;  // never shrinks: numbers stay valid from one exploration to the next
int g_weakened = -1;

const char* name_of(Kind kind) {
    switch (kind) {
        case Kind::Load: return "load";
        case Kind::Store: return "store";
        case Kind::Add: return "fetch_add";
        case Kind::Exchange: return "exchange";
        case Kind::Compare: return "compare_exchange";
        case Kind::Fence: return "fence";
        case Kind::LightFence: return "light fence";
        case Kind::HeavyFence: return "heavy fence";
        case Kind::FutexWait: return "futex wait";
        case Kind::FutexWake: return "futex wake";
        default: return "plain access";
    }
}

}  // namespace

const char* text_of(std::memory_order order) {
    switch (order) {
        case std::memory_order_relaxed: return "relaxed";
        case std::memory_order_consume: return "consume";
        case std::memory_order_acquire: return "acquire";
        case std::memory_order_release: return "release";
        case std::memory_order_acq_rel: return "acq_rel";
        case std::memory_order_seq_cst: return "seq_cst";
    }
    return "?";
}

std::uint16_t site_of(const Here& here, Kind kind, std::memory_order order) {
    for (std::size_t i = 0; i < g_sites.size(); ++i) {
        const Known& k = g_sites[i];
        if (k.site.line == here.line() && k.site.column == here.column() &&
            (k.file == here.file_name() || k.site.file == here.file_name())) {
            return static_cast<std::uint16_t>(i);
        }
    }
    Known k;
    k.file = here.file_name();
    k.site.file = here.file_name();
    k.site.line = here.line();
    k.site.column = here.column();
    const bool ordered = kind != Kind::FutexWait && kind != Kind::FutexWake &&
                         kind != Kind::PlainRead && kind != Kind::PlainWrite;
    k.site.operation = name_of(kind);
    if (ordered) {
        k.site.operation += std::string{" "} + text_of(order);
    }
    k.site.stronger_than_relaxed = ordered && order != std::memory_order_relaxed;
    g_sites.push_back(k);
    return static_cast<std::uint16_t>(g_sites.size() - 1);
}

bool weakened(std::uint16_t site) {
    return site == g_weakened;
}

unsigned line_of(std::uint16_t site) {
    return site < g_sites.size() ? g_sites[site].site.line : 0;
}

std::vector<Site> sites() {
    std::vector<Site> all;
    for (const Known& k : g_sites) {
        all.push_back(k.site);
    }
    std::sort(all.begin(), all.end(), [](const Site& a, const Site& b) {
        return std::tie(a.file, a.line, a.column) < std::tie(b.file, b.line, b.column);
    });
    return all;
}

void weaken(const Site* site) {
    g_weakened = -1;
    for (std::size_t i = 0; site != nullptr && i < g_sites.size(); ++i) {
        const Site& s = g_sites[i].site;
        if (s.file == site->file && s.line == site->line && s.column == site->column) {
            g_weakened = static_cast<int>(i);
        }
    }
}

}  // namespace millrace::model
