const Client = require('socket.io-client');

describe('Chat Socket', () => {
  let clientSocket;
  let serverSocket;

  beforeAll((done) => {
    clientSocket = Client('http://localhost:3010', {
      auth: { token: 'valid-jwt-token' }
    });

    clientSocket.on('connect', done);
  });

  afterAll(() => {
    clientSocket.close();
  });

  test('should send and receive message', (done) => {
    const testMessage = {
      chatId: 'test-chat-id',
      content: 'Hello from test',
      messageType: 'text'
    };

    clientSocket.on('newMessage', (message) => {
      expect(message.content).toBe(testMessage.content);
      done();
    });

    clientSocket.emit('sendMessage', testMessage);
  });
});
