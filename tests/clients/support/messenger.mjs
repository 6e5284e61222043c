// The parts of the chat page, by the words and marks that a person and a test find them by.

export const chatWith = (page, user) => page.locator(`.chat-item[data-with="user-${user}"]`);
export const badgeOf = (page, user) => chatWith(page, user).getByTestId('unread-badge');
export const messages = (page) => page.getByTestId('message');
export const message = (page, text) => messages(page).filter({ hasText: text });
export const tickOf = (page, text) => message(page, text).getByTestId('tick');

export async function openChat(page, user) {
  await chatWith(page, user).click();
  await page.getByRole('heading', { level: 2, name: new RegExp(`^${user}$`, 'i') }).waitFor();
}

export async function write(page, text) {
  await page.getByTestId('composer').fill(text);
  await page.getByTestId('send').click();
  await message(page, text).waitFor();
}

/** What can be done with a message is shown where somebody points. */
export async function act(page, text, action) {
  await message(page, text).hover();
  await message(page, text).getByTestId(action).click();
}

/** Waits for an attribute's value; a locator that never gets there fails the test. */
export const withStatus = (tick, status) => tick.and(tick.page().locator(`[data-status="${status}"]`)).waitFor();
