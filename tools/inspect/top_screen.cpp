#include "tools/inspect/top_screen.h"

#include <fmt/core.h>

#include <algorithm>

#include "tools/inspect/decode.h"
#include "tools/inspect/page.h"

namespace millrace::inspect {
namespace {

constexpr const char* kHelp[] = {
    "millrace inspect top",
    "",
    "  r          all rings; in there: up, down (or k, j) choose, Enter opens one",
    "  s          sort rings by: fullest, busiest, stalls, name",
    "  Esc, b     back",
    "  h, ?       this page",
    "  q, Ctrl-C  leave",
    "",
    "red        needs somebody now: a stage dead or halted, a ring 80 % full or at fault,",
    "           a journal that does not run, an account killed or rejected",
    "yellow     look at it: no heartbeat for 3 s, a ring that was full once, a link that is",
    "           not up, an account that does not trade, orders in doubt, errors",
    "white      as it should be",
    "",
    "FULL IN    time until the ring is full if both ends go on like this",
    "HOP        latencies of the last 10 s or so, as its head says; since the segment was",
    "           made in the first picture (and in stat and hist always)",
    "DOUBT      commands in (done, claimed]: in doubt if the broker stage dies now",
    "durable -n, replica -n, sqlite -n    records behind the last one journalled",
    "",
    "NO_COLOR=1 in the environment: no colours. All that they say is in the words too.",
};

std::size_t lines_of(const std::string& text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

void TopScreen::move(int by, std::size_t rings) {
    if (by < 0) {
        selected_ -= selected_ > 0 ? 1 : 0;
    } else {
        selected_ = rings == 0 ? 0 : std::min(selected_ + 1, rings - 1);
    }
}

void TopScreen::back() {
    screen_ = screen_ == Screen::Ring ? Screen::Rings : Screen::Main;
}

bool TopScreen::press(const KeyPress& pressed, const Picture& p) {
    RenderOptions options;
    options.ring_order = order_;
    const std::vector<std::string> rings = sorted_rings(p.now, p.before, p.elapsed, options);
    switch (pressed.key) {
        case Key::Leave: return true;
        case Key::Up: move(-1, rings.size()); return false;
        case Key::Down: move(1, rings.size()); return false;
        case Key::Escape: back(); return false;
        case Key::Enter:
            if (screen_ == Screen::Rings && selected_ < rings.size()) {
                ring_ = rings[selected_];
                screen_ = Screen::Ring;
            }
            return false;
        case Key::None:
        case Key::Resize: return false;
        case Key::Char: break;
    }
    switch (pressed.c) {
        case 'q':
        case 'Q': return true;
        case 'r': screen_ = Screen::Rings; break;
        case 's':
            order_ = static_cast<RingOrder>((static_cast<unsigned>(order_) + 1) % kRingOrders);
            selected_ = 0;
            break;
        case 'k': move(-1, rings.size()); break;
        case 'j': move(1, rings.size()); break;
        case 'b': back(); break;
        case 'h':
        case '?': screen_ = screen_ == Screen::Help ? Screen::Main : Screen::Help; break;
        default: break;
    }
    return false;
}

std::string TopScreen::ring_body(const Picture& p, const RenderOptions& o) const {
    Page page{o.width};
    const auto stat = std::find_if(p.now.rings.begin(), p.now.rings.end(),
                                   [&](const RingStat& r) { return r.name == ring_; });
    const std::uint32_t index = p.segment.find_ring(ring_);
    if (stat == p.now.rings.end() || index == kNoId) {
        page.add("ring " + ring_ + " is not in this segment", Mood::Warn);
        return page.text(o.color);
    }
    page.add(fmt::format("ring {}  {} slots of {} B  read {}  written {}  depth {}  high {}  "
                         "stalls {}",
                         stat->name, stat->capacity, stat->slot_bytes, stat->read, stat->written,
                         stat->depth(), stat->high_water, stat->full_stalls),
             Mood::Head);
    if (!stat->fault.empty()) {
        page.add("FAULT: " + stat->fault, Mood::Bad);
    }
    const std::size_t room = o.height > page.size() ? o.height - page.size() : 1;
    const auto records = decode_ring(p.segment, index, room);
    for (const DecodedRecord& r : records ? records.value() : std::vector<DecodedRecord>{}) {
        page.add(fmt::format("{:>8} {} {}", r.number, r.released ? ' ' : '*', flat_text(r.fields)));
    }
    return page.text(o.color);
}

std::string TopScreen::body(const Picture& p, const RenderOptions& o) const {
    switch (screen_) {
        case Screen::Main: return render_top(p.now, p.before, p.elapsed, o);
        case Screen::Rings: return render_rings(p.now, p.before, p.elapsed, o, selected_);
        case Screen::Ring: return ring_body(p, o);
        case Screen::Help: break;
    }
    Page page{o.width};
    for (const char* line : kHelp) {
        page.add(line);
    }
    Page cut{o.width};
    cut.append(page, o.height);
    return cut.text(o.color);
}

std::string TopScreen::draw(const Picture& p, RenderOptions o) const {
    const unsigned height = std::max(o.height, 2U);
    o.height = height - 1;
    o.ring_order = order_;
    std::string text = body(p, o);
    for (std::size_t n = lines_of(text); n < o.height; ++n) {
        text += "\n";
    }
    Page keys{o.width};
    keys.add(screen_ == Screen::Main
                 ? fmt::format("q quit  h help  r rings  s sort: {}", order_name(order_))
             : screen_ == Screen::Rings
                 ? fmt::format("q quit  Esc back  up/down choose  Enter open  s sort: {}",
                               order_name(order_))
                 : std::string{"q quit  Esc back"},
             Mood::Head);
    return text + keys.text(o.color);
}

}  // namespace millrace::inspect
