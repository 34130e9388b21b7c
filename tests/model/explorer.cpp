#include "tests/model/explorer.h"

#include "tests/model/machine.h"

#include <algorithm>

namespace millrace::model {
namespace {

/// Digest -> state number; open addressing, grows at half full.
class Visited {
public:
    static constexpr std::uint32_t kNone = 0xFFFFFFFF;

    /// @return the number of a state met before, or kNone after adding it as `number`.
    std::uint32_t find_or_add(const Digest& digest, std::uint32_t number) {
        if (used_ * 2 >= table_.size()) {
            grow();
        }
        Entry& e = place(digest);
        if (e.number != kNone) {
            return e.number;
        }
        e = {digest, number};
        ++used_;
        return kNone;
    }

private:
    struct Entry {
        Digest digest{};
        std::uint32_t number = kNone;
    };

    Entry& place(const Digest& digest) {
        std::size_t i = digest.low & (table_.size() - 1);
        while (table_[i].number != kNone && !(table_[i].digest == digest)) {
            i = (i + 1) & (table_.size() - 1);
        }
        return table_[i];
    }
    void grow() {
        std::vector<Entry> old(table_.size() * 2);
        old.swap(table_);
        for (const Entry& e : old) {
            if (e.number != kNone) {
                place(e.digest) = e;
            }
        }
    }

    std::vector<Entry> table_{std::vector<Entry>(1U << 14U)};
    std::size_t used_ = 0;
};

struct Edge {
    std::uint32_t from;
    std::uint32_t to;
};

class Search {
public:
    Search(const Scenario& scenario, Machine& machine) : scenario_{scenario}, machine_{machine} {}

    Outcome run() {
        machine_.start();
        if (arrive(Visited::kNone, {})) {
            while (!stack_.empty() && !outcome_.violated) {
                advance();
            }
        }
        outcome_.states = parents_.size();
        if (!outcome_.violated && !too_many_) {
            find_stuck();
            outcome_.complete = !outcome_.violated;
        }
        return outcome_;
    }

private:
    struct Frame {
        std::vector<std::byte> saved;
        std::vector<Choice> choices;
        std::size_t next = 0;
        std::uint32_t state = 0;
        double paths = 0;
    };
    struct Parent {
        std::uint32_t state;
        Choice choice;
    };

    void advance() {
        Frame& top = stack_[depth_ - 1];
        if (top.next == top.choices.size()) {
            leave();
            return;
        }
        if (top.next > 0) {
            machine_.restore(top.saved);
        }
        const Choice choice = top.choices[top.next++];
        const std::uint32_t from = top.state;
        machine_.apply(choice);
        ++outcome_.transitions;
        outcome_.deaths += choice.move == Move::Die ? 1U : 0U;
        if (machine_.violation != nullptr) {
            parents_.push_back({from, choice});
            report(machine_.violation, static_cast<std::uint32_t>(parents_.size() - 1));
            return;
        }
        arrive(from, choice);
    }

    /// The machine is in a state: counts it and, if it is new, puts it on the stack.
    bool arrive(std::uint32_t from, const Choice& choice) {
        const auto number = static_cast<std::uint32_t>(parents_.size());
        const std::uint32_t known = visited_.find_or_add(machine_.digest(), number);
        const std::uint32_t here = known == Visited::kNone ? number : known;
        if (from != Visited::kNone && choice.fair()) {
            edges_.push_back({from, here});
        }
        if (known != Visited::kNone) {
            ++outcome_.executions;
            stack_[depth_ - 1].paths += paths_[known];
            return false;
        }
        parents_.push_back({from, choice});
        paths_.push_back(0);
        if (parents_.size() >= scenario_.limits.states) {
            too_many_ = true;
            depth_ = 0;
            stack_.clear();
            return false;
        }
        enter(number);
        return true;
    }

    void enter(std::uint32_t number) {
        if (stack_.size() == depth_) {
            stack_.emplace_back();
        }
        Frame& frame = stack_[depth_++];
        frame.next = 0;
        frame.state = number;
        frame.paths = 0;
        machine_.choices(frame.choices);
        if (machine_.finished()) {
            ++outcome_.executions;
            frame.paths = 1;
            ends_.push_back(number);
            for (const auto& check_end : machine_.end_checks) {
                check_end();
            }
            if (machine_.violation != nullptr) {
                report(machine_.violation, number);
                return;
            }
        }
        if (frame.choices.size() > 1) {
            machine_.save(frame.saved);
        }
    }

    void leave() {
        Frame& done = stack_[--depth_];
        paths_[done.state] = done.paths;
        if (depth_ == 0) {
            outcome_.interleavings = done.paths;
            stack_.clear();
        } else {
            stack_[depth_ - 1].paths += done.paths;
        }
    }

    /// Looks for a state without a fair way to an end: a lost record, a lost wake.
    void find_stuck() {
        std::vector<std::uint32_t> first(parents_.size() + 2);
        for (const Edge& e : edges_) {
            ++first[e.to + 2];
        }
        for (std::size_t i = 2; i < first.size(); ++i) {
            first[i] += first[i - 1];
        }
        std::vector<std::uint32_t> sources(edges_.size());
        for (const Edge& e : edges_) {
            sources[first[e.to + 1]++] = e.from;
        }
        std::vector<bool> ends(parents_.size());
        std::vector<std::uint32_t> queue = ends_;
        for (const std::uint32_t s : ends_) {
            ends[s] = true;
        }
        while (!queue.empty()) {
            const std::uint32_t s = queue.back();
            queue.pop_back();
            for (std::uint32_t i = first[s]; i < first[s + 1]; ++i) {
                if (!ends[sources[i]]) {
                    ends[sources[i]] = true;
                    queue.push_back(sources[i]);
                }
            }
        }
        const auto stuck = std::find(ends.begin(), ends.end(), false);
        if (stuck != ends.end()) {
            report("no way on from here: something was lost or everybody sleeps",
                   static_cast<std::uint32_t>(stuck - ends.begin()));
        }
    }

    void report(const char* what, std::uint32_t state) {
        outcome_.violated = true;
        outcome_.what = what;
        for (std::uint32_t s = state; s != Visited::kNone; s = parents_[s].state) {
            path_.push_back(parents_[s].choice);
        }
        path_.pop_back();  // the first state has no choice before it
        std::reverse(path_.begin(), path_.end());
    }

public:
    /// The choices that lead to the violation; replayed on a fresh machine to describe them.
    std::vector<Choice> path_;

private:
    const Scenario& scenario_;
    Machine& machine_;
    Outcome outcome_;
    Visited visited_;
    std::vector<Frame> stack_;
    std::size_t depth_ = 0;
    std::vector<Parent> parents_;
    std::vector<double> paths_;
    std::vector<Edge> edges_;
    std::vector<std::uint32_t> ends_;
    bool too_many_ = false;
};

void build(const Scenario& scenario) {
    World world;
    scenario.build(world);
}

}  // namespace

Outcome explore(const Scenario& scenario) {
    Outcome outcome;
    std::vector<Choice> path;
    {
        auto machine = std::make_unique<Machine>(scenario.limits);
        build(scenario);
        Search search{scenario, *machine};
        outcome = search.run();
        path = search.path_;
    }
    if (outcome.violated) {
        auto machine = std::make_unique<Machine>(scenario.limits);
        build(scenario);
        machine->start();
        for (const Choice& choice : path) {
            machine->apply(choice);
            outcome.trace.push_back(machine->last_step());
        }
    }
    return outcome;
}

int World::thread(Role role, std::function<void()> body) {
    return machine().add_thread(std::move(role), std::move(body));
}

void World::at_end(std::function<void()> check) {
    machine().end_checks.push_back(std::move(check));
}

void* World::allocate(std::size_t bytes, std::size_t alignment) {
    return machine().allocate(bytes, alignment);
}

void check(bool holds, const char* what) {
    if (!holds) {
        machine().violate(what);
    }
}

void checkpoint(const void* bytes, std::size_t count) {
    machine().checkpoint(bytes, count);
}

std::uint8_t new_location(std::uint64_t initial) {
    return machine().memory.add_location(initial);
}

void name_location(std::uint8_t at, const char* name) {
    machine().location_names[at % kLocationsMax] = name;
}

std::uint64_t newest_value(std::uint8_t at) {
    return machine().memory.newest(at);
}

std::uint8_t word_of(const void* p) {
    const std::size_t word = machine().offset_of(p) / sizeof(std::uint64_t);
    check(word < kWordsMax, "a plain word lies outside the checked part of the region");
    return static_cast<std::uint8_t>(word);
}

void perform(Access& access, const Here& here) {
    machine().perform(access, here);
}

void heavy_fence(const Here& here) {
    for (std::uint8_t t = 0; t < machine().threads(); ++t) {
        Access a;
        a.kind = Kind::HeavyFence;
        a.at = t;
        a.order = std::memory_order_seq_cst;
        if (t != machine().running()) {
            perform(a, here);
        }
    }
    // What the system call is to its caller: a full barrier too, at its beginning and at its end.
    // One of them is what a ringer that fences by itself pairs with.
    Access own;
    own.kind = Kind::Fence;
    own.order = std::memory_order_seq_cst;
    perform(own, here);
}

void futex_wait(std::uint8_t at, std::uint64_t expected, const Here& here) {
    Access a;
    a.kind = Kind::FutexWait;
    a.at = at;
    a.value = expected;
    perform(a, here);
}

void futex_wake(std::uint8_t at, const Here& here) {
    Access a;
    a.kind = Kind::FutexWake;
    a.at = at;
    perform(a, here);
}

}  // namespace millrace::model
