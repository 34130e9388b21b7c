// The way out: takes away our pendings and closes our positions, for a kill frame or for the dead
// man's switch, again and again until two readings of the account show nothing left. Only what
// carries our tag is touched. A position that stays without its stops is closed the same way, if
// that is wanted.

#include "Scan.mqh"

#define KILL_RETRY_MS 100
#define KILL_BACKOFF_MS 1000
#define KILL_RETRY_MAX_MS 60000
// Requests in one go, and how long until there is one more: the broker's limits are its own.
#define KILL_BURST 50
#define KILL_REFILL_MS 50
// For so long a kill may take before somebody is told.
#define KILL_TOLD_MS 2000
// For so long the deals of a netting position may be missing before its magic is taken instead.
#define KILL_BLIND_MS 5000

/// A ticket that a request is out for, or was refused: not before then again.
struct Hold
{
    ulong ticket;
    ulong until_ms;
    ulong step_ms;      // doubles with each refusal
    ulong refused_ms;
    bool for_quote;     // refused for want of a market: a new quote ends it
    double bid;
};

/// A netting position whose deals do not add up to it.
struct Blind
{
    ulong position;
    ulong since_ms;
    bool seen;  // in this reading of the account
};

class KillSwitch
{
private:
    Hold holds_[];
    Blind blind_[];
    ulong next_ms_;
    int clean_readings_;
    bool dead_man_fired_;
    bool wanted_;
    ulong open_ms_;   // since when something has been there that a kill is to end; 0 = nothing is
    int tokens_;
    ulong refilled_ms_;

    bool wants(const int action, const string symbol);
    bool is_held(const ulong ticket);
    int hold_of(const ulong ticket);
    void hold(const ulong ticket, const ulong ms);
    void hold_refused(const ulong ticket, const string symbol, const uint code);
    bool take_token();
    void send(MqlTradeRequest &request, const ulong ticket);
    int cancel_orders();
    ulong blind_since(const ulong position);
    void forget_blind();
    bool ours_of_selected(const bool killed, double &volume, bool &buy);
    bool is_bare_selected();
    int close_positions(int &bare);

public:
    KillSwitch() { reset(); }
    void reset()
    {
        ArrayResize(holds_, 0);
        next_ms_ = 0;
        clean_readings_ = 0;
        dead_man_fired_ = false;
        wanted_ = true;
        open_ms_ = 0;
        ArrayResize(blind_, 0);
        tokens_ = KILL_BURST;
        refilled_ms_ = 0;
    }
    /// Is something of a kill in force still there after KILL_TOLD_MS: refused, or not allowed?
    bool is_waiting() { return open_ms_ != 0 && now_ms() >= open_ms_ + KILL_TOLD_MS; }
    void on_kill(const Kill &kill);
    void on_dead_man(const bool silent);
    void update();
};

bool KillSwitch::wants(const int action, const string symbol)
{
    if (dead_man_fired_ && (g_config.dead_man_action & action) != 0)
        return true;
    for (int i = 0; i < g_journal.kill_count(); i++)
    {
        Kill kill;
        g_journal.kill_at(i, kill);
        if ((kill.actions & action) != 0 && (kill.symbol == "" || kill.symbol == symbol))
            return true;
    }
    return false;
}

bool KillSwitch::is_held(const ulong ticket)
{
    for (int i = 0; i < ArraySize(holds_); i++)
    {
        if (holds_[i].ticket != ticket)
            continue;
        double bid = 0;
        double ask = 0;
        bool moved = holds_[i].for_quote && now_ms() >= holds_[i].refused_ms + KILL_BACKOFF_MS &&
                     PositionSelectByTicket(ticket) &&
                     read_quote(PositionGetString(POSITION_SYMBOL), bid, ask) &&
                     bid != holds_[i].bid;
        return now_ms() < holds_[i].until_ms && !moved;
    }
    return false;
}

/// Its place in holds_; made if there is none.
int KillSwitch::hold_of(const ulong ticket)
{
    int n = ArraySize(holds_);
    for (int i = 0; i < n; i++)
        if (holds_[i].ticket == ticket)
            return i;
    int at = n;
    for (int i = 0; i < n && at == n; i++)
        if (now_ms() >= holds_[i].until_ms + KILL_RETRY_MAX_MS)
            at = i;
    if (at == n)
        ArrayResize(holds_, n + 1, 64);
    holds_[at].ticket = ticket;
    holds_[at].until_ms = 0;
    holds_[at].step_ms = 0;
    holds_[at].refused_ms = 0;
    holds_[at].for_quote = false;
    holds_[at].bid = 0;
    return at;
}

void KillSwitch::hold(const ulong ticket, const ulong ms)
{
    int at = hold_of(ticket);
    holds_[at].until_ms = now_ms() + ms;
    holds_[at].for_quote = false;
}

/// A definite no: the next try after twice the time, 0.1 s to a minute, or with the next quote where
/// there was no market.
void KillSwitch::hold_refused(const ulong ticket, const string symbol, const uint code)
{
    int at = hold_of(ticket);
    ulong twice = 2 * holds_[at].step_ms;
    holds_[at].step_ms = MathMin(KILL_RETRY_MAX_MS, MathMax(KILL_RETRY_MS, twice));
    holds_[at].until_ms = now_ms() + holds_[at].step_ms;
    holds_[at].refused_ms = now_ms();
    holds_[at].for_quote = code == TRADE_RETCODE_MARKET_CLOSED || code == TRADE_RETCODE_PRICE_OFF;
    double ask = 0;
    double bid = 0;
    read_quote(symbol, bid, ask);
    holds_[at].bid = bid;
}

bool KillSwitch::take_token()
{
    ulong earned = (now_ms() - refilled_ms_) / KILL_REFILL_MS;
    if (earned > 0)
    {
        tokens_ = (int)MathMin(KILL_BURST, (ulong)tokens_ + earned);
        refilled_ms_ = now_ms();
    }
    if (tokens_ == 0)
        return false;
    tokens_--;
    return true;
}

/// Sends and waits for the answer. One whose outcome is not known keeps its ticket back for as long
/// as an answer may take: a second close on a netting account would open the other side.
void KillSwitch::send(MqlTradeRequest &request, const ulong ticket)
{
    if (g_account.refusal() != 0 || !g_account.may_send() || !take_token())
        return;  // asked again with the next round
    MqlTradeResult result;
    ZeroMemory(result);
    request.magic = KILL_MAGIC;
    request.comment = "millrace kill";
    g_link.announce_busy(BUSY_MS);
    ResetLastError();
    bool sent = OrderSend(request, result);
    int error = GetLastError();
    g_link.forgive_silence();
    if (!sent && result.retcode == 0)
        result.retcode = code_of_error(error);
    g_account.on_answer(leaves_open(result.retcode));
    if (leaves_open(result.retcode))
    {
        hold(ticket, (ulong)g_config.answer_ms);
    }
    else if (is_done(result.retcode))
    {
        hold(ticket, KILL_BACKOFF_MS);
    }
    else if (result.retcode == TRADE_RETCODE_INVALID_FILL &&
             !is_filling_refused(request.symbol, request.type_filling))
    {
        refuse_filling(request.symbol, request.type_filling);
        hold(ticket, KILL_RETRY_MS);
    }
    else
    {
        hold_refused(ticket, request.symbol, result.retcode);
    }
}

/// @return how many are still there; -1 if the list could not be read.
int KillSwitch::cancel_orders()
{
    ulong tickets[];
    for (int i = 0; i < OrdersTotal(); i++)
    {
        ulong ticket = OrderGetTicket(i);
        if (ticket == 0)
            return -1;
        if (!is_pending_type(OrderGetInteger(ORDER_TYPE)) ||
            !g_account.is_ours((ulong)OrderGetInteger(ORDER_MAGIC)) ||
            !wants(KILL_CANCEL, OrderGetString(ORDER_SYMBOL)))
            continue;
        int n = ArraySize(tickets);
        ArrayResize(tickets, n + 1, 64);
        tickets[n] = ticket;
    }
    for (int i = 0; i < ArraySize(tickets); i++)
    {
        if (is_held(tickets[i]))
            continue;
        MqlTradeRequest request;
        ZeroMemory(request);
        request.action = TRADE_ACTION_REMOVE;
        request.order = tickets[i];
        send(request, tickets[i]);
    }
    return ArraySize(tickets);
}

/// Since when its deals have not added up; from now on, if they did in the reading before.
ulong KillSwitch::blind_since(const ulong position)
{
    int n = ArraySize(blind_);
    int i = 0;
    while (i < n && blind_[i].position != position)
        i++;
    if (i == n)
    {
        ArrayResize(blind_, n + 1, 16);
        blind_[i].position = position;
        blind_[i].since_ms = now_ms();
    }
    blind_[i].seen = true;
    return blind_[i].since_ms;
}

/// After a whole reading: those that are gone, that add up, or that no kill asks for any more.
void KillSwitch::forget_blind()
{
    int kept = 0;
    for (int i = 0; i < ArraySize(blind_); i++)
    {
        if (!blind_[i].seen)
            continue;
        blind_[kept] = blind_[i];
        blind_[kept].seen = false;
        kept++;
    }
    ArrayResize(blind_, kept, 16);
}

/// How much of the position just selected is ours, and which way. On a hedging account all of it or
/// nothing, by its magic. A netting position has the magic of whoever dealt first: what our deals
/// add up to counts there, never more than is open on that side. @param killed where they never do,
/// its magic will have to do. @return false if its deals are not all there yet.
bool KillSwitch::ours_of_selected(const bool killed, double &volume, bool &buy)
{
    buy = PositionGetInteger(POSITION_TYPE) == POSITION_TYPE_BUY;
    volume = 0;
    bool by_magic = g_account.is_ours((ulong)PositionGetInteger(POSITION_MAGIC));
    double open = PositionGetDouble(POSITION_VOLUME);
    if (g_account.is_hedging())
    {
        volume = by_magic ? open : 0;
        return true;
    }
    long net = 0;
    long ours = 0;
    ulong position = (ulong)PositionGetInteger(POSITION_IDENTIFIER);
    bool read = g_account.net_of_deals(position, net, ours);
    if (read && net == (buy ? to_scaled(open) : -to_scaled(open)))
    {
        if (buy ? ours > 0 : ours < 0)
            volume = MathMin(open, from_scaled(buy ? ours : -ours));
        return true;
    }
    if (!killed || now_ms() < blind_since(position) + KILL_BLIND_MS)
        return false;
    volume = by_magic ? open : 0;  // its history is gone: the way out does not wait for it
    return true;
}

/// Is the position selected to be closed for want of its stops?
bool KillSwitch::is_bare_selected()
{
    return g_config.stops_action == STOPS_CLOSE && g_account.ready() &&
           g_stops.gives_up_selected();
}

/// @param bare how many are still there without their stops, and no kill asks for them. @return how
/// many are still there that a kill is to end; -1 if the list could not be read.
int KillSwitch::close_positions(int &bare)
{
    int left = 0;
    bare = 0;
    ulong tickets[];
    double volumes[];
    long times[];
    for (int i = 0; i < PositionsTotal(); i++)
    {
        ulong ticket = PositionGetTicket(i);
        if (ticket == 0)
            return -1;
        bool killed = wants(KILL_FLATTEN, PositionGetString(POSITION_SYMBOL));
        if (!killed && !is_bare_selected())
            continue;
        double volume;
        bool buy;
        bool known = ours_of_selected(killed, volume, buy);
        if (!known || volume > 0)
        {
            left += killed ? 1 : 0;
            bare += killed ? 0 : 1;
        }
        if (volume <= 0)
            continue;
        // The oldest first: some accounts take closes in no other order.
        long opened_msc = PositionGetInteger(POSITION_TIME_MSC);
        int at = ArraySize(tickets);
        ArrayResize(tickets, at + 1, 64);
        ArrayResize(volumes, at + 1, 64);
        ArrayResize(times, at + 1, 64);
        for (; at > 0 && is_older(opened_msc, ticket, times[at - 1], tickets[at - 1]); at--)
        {
            tickets[at] = tickets[at - 1];
            volumes[at] = volumes[at - 1];
            times[at] = times[at - 1];
        }
        tickets[at] = ticket;
        volumes[at] = volume;
        times[at] = opened_msc;
    }
    forget_blind();
    for (int i = 0; i < ArraySize(tickets); i++)
    {
        double bid;
        double ask;
        if (is_held(tickets[i]) || !PositionSelectByTicket(tickets[i]))
            continue;
        MqlTradeRequest request;
        ZeroMemory(request);
        request.symbol = PositionGetString(POSITION_SYMBOL);
        if (!wants(KILL_FLATTEN, request.symbol) && !is_bare_selected())
            continue;  // has got them meanwhile
        if (!watch_symbol(request.symbol) || !read_quote(request.symbol, bid, ask))
            continue;  // no quote: tried again
        bool buy = PositionGetInteger(POSITION_TYPE) == POSITION_TYPE_BUY;
        request.action = TRADE_ACTION_DEAL;
        request.position = tickets[i];
        request.volume = MathMin(volumes[i], PositionGetDouble(POSITION_VOLUME));
        request.type = buy ? ORDER_TYPE_SELL : ORDER_TYPE_BUY;
        request.price = round_price(request.symbol, buy ? bid : ask);
        request.deviation = 1000000;  // the way out is not for sale
        request.type_filling = resolve_filling(request);
        send(request, tickets[i]);
    }
    return left;
}

void KillSwitch::on_kill(const Kill &kill)
{
    if (g_journal.knows_kill(kill))
        return;  // a repeat: it is in force already
    g_journal.remember_kill(kill);
    g_journal.flush();
    wanted_ = true;
    clean_readings_ = 0;
    next_ms_ = 0;
    update();
}

/// @param silent the engine has not been heard for longer than the dead man's time.
void KillSwitch::on_dead_man(const bool silent)
{
    if (silent && !dead_man_fired_ && g_config.dead_man_action != DEAD_MAN_NONE)
    {
        PrintFormat("millrace: no engine for %d s: dead man's switch, action %d",
                    g_config.dead_man_s, g_config.dead_man_action);
        wanted_ = true;
        clean_readings_ = 0;
    }
    dead_man_fired_ = silent;
}

void KillSwitch::update()
{
    // Entries are stopped; but one that was on its way, or a pending's fill, can still come.
    bool again = wanted_ || g_executor.in_flight() > 0 || g_scanner.hinted() ||
                 now_ms() >= next_ms_ + KILL_BACKOFF_MS;
    if (!again || now_ms() < next_ms_ || !g_account.connected())
        return;
    next_ms_ = now_ms() + KILL_RETRY_MS;
    int orders = cancel_orders();
    int bare = 0;
    int positions = close_positions(bare);
    bool killed = orders == 0 && positions == 0 && g_account.ready();
    clean_readings_ = (killed && bare == 0) ? clean_readings_ + 1 : 0;
    wanted_ = clean_readings_ < 2;
    if (orders > 0 || positions > 0)
        open_ms_ = (open_ms_ == 0) ? now_ms() : open_ms_;
    else if (killed)
        open_ms_ = 0;
    if (orders > 0 || positions > 0 || bare > 0)
        g_scanner.hint();
}

KillSwitch g_kill_switch;
